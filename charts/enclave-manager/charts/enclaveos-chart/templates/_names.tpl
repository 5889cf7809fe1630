{{/* Names never depend on what the release is called: they are part of the published steps. */}}

{{- define "enclaveos.manager.name" -}}
{{ .Release.Name }}-enclaveos-manager
{{- end }}

{{- define "enclaveos.database.name" -}}
{{ .Release.Name }}-enclaveos-cockroachdb
{{- end }}

{{- define "enclaveos.database.certificates" -}}
{{ .Values.CockroachDB.CertificatesSecretName | default (printf "%s-certificates" (include "enclaveos.database.name" .)) }}
{{- end }}

{{- define "enclaveos.labels" -}}
{{ include "enclaveos.selector" . }}
app.kubernetes.io/part-of: enclave-manager
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* dict: root, component. */}}
{{- define "enclaveos.selector" -}}
app.kubernetes.io/name: enclaveos-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "enclaveos.manager.image" -}}
{{ .Values.Manager.Image.Repository }}:{{ .Values.Manager.Image.Tag | default .Chart.AppVersion }}
{{- end }}

{{- define "enclaveos.database.image" -}}
{{ .Values.CockroachDB.Image.Repository }}:{{ .Values.CockroachDB.Image.Tag }}
{{- end }}

{{- define "enclaveos.pullSecrets" -}}
{{- with .Values.Manager.ImagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Nothing of this may be gained or kept. */}}
{{- define "enclaveos.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
