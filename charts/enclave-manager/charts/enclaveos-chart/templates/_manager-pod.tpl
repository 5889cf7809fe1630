{{/* What every pod of the manager's image has: managers, jobs and tests. */}}

{{/* "true" where the TPM is a device of the host that no device plugin gives. */}}
{{- define "enclaveos.manager.privileged" -}}
{{- if and (eq .Values.Manager.Sealing "tpm2") (hasPrefix "device:" .Values.Manager.Tpm.Tcti) (not .Values.Manager.Tpm.DeviceResource) }}true{{ end }}
{{- end }}

{{- define "enclaveos.manager.user" -}}
{{ ternary 0 65532 (eq (include "enclaveos.manager.privileged" .) "true") }}
{{- end }}

{{- define "enclaveos.manager.podSecurity" -}}
{{- $user := include "enclaveos.manager.user" . -}}
runAsUser: {{ $user }}
runAsGroup: {{ $user }}
fsGroup: {{ $user }}
runAsNonRoot: {{ ne $user "0" }}
{{- if and .Values.Manager.Tpm.DeviceResource (not (kindIs "invalid" .Values.Manager.Tpm.GroupId)) }}
supplementalGroups: [{{ int .Values.Manager.Tpm.GroupId }}]
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "enclaveos.manager.security" -}}
{{- if include "enclaveos.manager.privileged" . -}}
privileged: true
readOnlyRootFilesystem: true
{{- else -}}
{{ include "enclaveos.hardened" . }}
{{- end }}
{{- end }}

{{/* dict: root, resources. What the sealing device needs comes besides. */}}
{{- define "enclaveos.manager.resources" -}}
{{- $manager := .root.Values.Manager -}}
{{- $devices := dict -}}
{{- if eq $manager.Sealing "sgx" }}
{{- $devices = $manager.Sgx.Resources }}
{{- else if and (eq $manager.Sealing "tpm2") $manager.Tpm.DeviceResource }}
{{- $devices = dict $manager.Tpm.DeviceResource 1 }}
{{- end }}
{{- toYaml (merge (dict "limits" (merge (dict) ($manager.Resources.limits | default dict) $devices)) $manager.Resources) }}
{{- end }}

{{- define "enclaveos.manager.initContainers" -}}
{{- $user := include "enclaveos.manager.user" . -}}
# A directory that the kubelet makes belongs to root; what is in it, to whom the managers ran as before. It goes last, so
# that a start that is cut short does it again.
- name: state-directory
  image: {{ include "enclaveos.manager.image" . }}
  imagePullPolicy: {{ .Values.Manager.Image.PullPolicy }}
  command:
    - sh
    - -c
    - |
      set -e
      if [ "$(stat -c %u /data)" != {{ $user }} ]; then
        find /data -mindepth 1 -exec chown -h {{ $user }}:{{ $user }} '{}' +
        chown {{ $user }}:{{ $user }} /data
      fi
      chmod 0711 /data
  securityContext:
    runAsUser: 0
    runAsNonRoot: false
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
      add: [CHOWN, DAC_READ_SEARCH, FOWNER]
  resources: &small
    requests: { cpu: 10m, memory: 32Mi }
    limits: { memory: 128Mi }
  volumeMounts:
    - { name: state, mountPath: /data }
{{- if eq .Values.Manager.Sealing "software" }}
# The key must be for its owner's eyes alone, and files of a Secret cannot be.
- name: software-key
  image: {{ include "enclaveos.manager.image" . }}
  imagePullPolicy: {{ .Values.Manager.Image.PullPolicy }}
  command:
    - sh
    - -c
    - |
      [ -e "/keys/$NODE.key" ] || {
        echo "The Secret {{ .Values.Manager.SoftwareKeySecretName }} has no $NODE.key, the key of this host: add 32 random bytes under that name."
        exit 1
      }
      install -m 0400 "/keys/$NODE.key" /run/enclave-manager/host/host.key
  terminationMessagePolicy: FallbackToLogsOnError
  env:
    - name: NODE
      valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
  securityContext:
    {{- include "enclaveos.hardened" . | nindent 4 }}
  resources: *small
  volumeMounts:
    - { name: software-keys, mountPath: /keys, readOnly: true }
    - { name: software-key, mountPath: /run/enclave-manager/host }
{{- end }}
{{- end }}

{{- define "enclaveos.manager.environment" -}}
{{- $s3 := .Values.global.S3 -}}
{{- $backup := .Values.Backup -}}
{{- $manager := .Values.Manager -}}
- { name: ENCLAVE_MANAGER_DATA_DIR, value: /data }
- { name: ENCLAVE_MANAGER_LISTEN, value: '0.0.0.0:8080' }
# What the program prints is to be typed outside the cluster.
- name: ENCLAVE_MANAGER_COMMAND
  value: kubectl -n {{ .Release.Namespace }} exec -it deploy/{{ include "enclaveos.manager.name" . }} -- enclave-manager
- name: ENCLAVE_MANAGER_NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
# Kubernetes copies this label from the node since 1.35; where it is missing, the site is none.
- name: ENCLAVE_MANAGER_SITE
  valueFrom: { fieldRef: { fieldPath: "metadata.labels['topology.kubernetes.io/zone']" } }
{{- if .Values.global.Database.UrlSecretName }}
- { name: ENCLAVE_MANAGER_DATABASE_URL_FILE, value: /run/enclave-manager/database/url }
{{- else }}
- name: ENCLAVE_MANAGER_DATABASE_URL
  value: {{ include "enclaveos.manager.databaseUrl" . | quote }}
{{- end }}
- { name: ENCLAVE_MANAGER_SEALING, value: {{ $manager.Sealing }} }
{{- include "enclaveos.manager.sealingEnvironment" . }}
{{- if $s3.Bucket }}
- name: ENCLAVE_MANAGER_REPOSITORY
  value: {{ printf "s3://%s/%s" $s3.Bucket (trimAll "/" $backup.S3Prefix) | trimSuffix "/" | quote }}
{{- range $name, $value := dict "ENDPOINT" $s3.Endpoint "REGION" $s3.Region "ADDRESSING" $s3.Addressing "OBJECT_LOCK" $s3.ObjectLock }}
{{- if $value }}
- { name: ENCLAVE_MANAGER_S3_{{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}
{{- if $s3.CaSecretName }}
- { name: ENCLAVE_MANAGER_S3_CA_FILE, value: /run/enclave-manager/s3-ca/ca.crt }
{{- end }}
- { name: AWS_ACCESS_KEY_ID_FILE, value: /run/enclave-manager/s3/AWS_ACCESS_KEY_ID }
- { name: AWS_SECRET_ACCESS_KEY_FILE, value: /run/enclave-manager/s3/AWS_SECRET_ACCESS_KEY }
{{- if $backup.PruneHmacSecretName }}
- { name: ENCLAVE_MANAGER_PRUNE_ACCESS_KEY_ID_FILE, value: /run/enclave-manager/s3-prune/AWS_ACCESS_KEY_ID }
- { name: ENCLAVE_MANAGER_PRUNE_SECRET_ACCESS_KEY_FILE, value: /run/enclave-manager/s3-prune/AWS_SECRET_ACCESS_KEY }
{{- end }}
{{- else }}
- { name: ENCLAVE_MANAGER_REPOSITORY, value: none }
{{- end }}
- { name: ENCLAVE_MANAGER_BACKUP_SCHEDULE, value: {{ $backup.CronSchedule | quote }} }
- { name: ENCLAVE_MANAGER_DRILL_SCHEDULE, value: {{ $backup.DrillSchedule | quote }} }
- { name: ENCLAVE_MANAGER_VERIFY_PERIOD, value: {{ $backup.VerifyPeriod | quote }} }
- { name: ENCLAVE_MANAGER_PRUNE_SCHEDULE, value: {{ $backup.PruneSchedule | quote }} }
- { name: ENCLAVE_MANAGER_PRUNE_GRACE, value: {{ $backup.PruneGrace | quote }} }
{{- range $rule := list "Last" "Hourly" "Daily" "Weekly" "Monthly" "Yearly" "Safety" }}
{{- $kept := get $backup.Keep $rule -}}
{{- if not (kindIs "invalid" $kept) }}
- { name: ENCLAVE_MANAGER_KEEP_{{ upper $rule }}, value: {{ int $kept | quote }} }
{{- end }}
{{- end }}
{{- with $backup.Keep.MinimumAge }}
- { name: ENCLAVE_MANAGER_KEEP_MINIMUM_AGE, value: {{ . | quote }} }
{{- end }}
{{- end }}

{{/*
  One line for a shell: takes the token from standard input, and enrols the host of this pod by a job that is pinned to it.
*/}}
{{- define "enclaveos.manager.enrolCommand" -}}
{{- $secret := printf "%s-join" .Release.Name -}}
{{- $namespace := printf "-n %s" .Release.Namespace -}}
kubectl {{ $namespace }} delete --ignore-not-found job/{{ .Release.Name }}-enclaveos-node-enrol secret/{{ $secret }} && kubectl {{ $namespace }} create secret generic {{ $secret }} --from-file=token=/dev/stdin && helm {{ $namespace }} get values {{ .Release.Name }} -o yaml | helm {{ $namespace }} template {{ .Release.Name }} charts/enclave-manager -f - -s charts/enclaveos-chart/templates/job.yaml --set enclaveos-chart.Job.Host=$(ENCLAVE_MANAGER_NODE_NAME) --set enclaveos-chart.Job.TokenSecretName={{ $secret }} --set 'enclaveos-chart.Job.Arguments={node,enrol}' | kubectl {{ $namespace }} create -f -
{{- end }}

{{- define "enclaveos.manager.databaseUrl" -}}
{{- $server := printf "postgres://enclave_manager@%s-public:26257/malbork" (include "enclaveos.database.name" .) -}}
{{- $files := "/run/enclave-manager/database" -}}
{{- if .Values.CockroachDB.Insecure -}}
{{ $server }}?sslmode=disable
{{- else -}}
{{ $server }}?sslmode=verify-full&sslrootcert={{ $files }}/ca.crt&sslcert={{ $files }}/client.enclave_manager.crt&sslkey={{ $files }}/client.enclave_manager.key
{{- end }}
{{- end }}

{{- define "enclaveos.manager.sealingEnvironment" -}}
{{- $manager := .Values.Manager -}}
{{- if eq $manager.Sealing "software" }}
- { name: ENCLAVE_MANAGER_SEALING_KEY_FILE, value: /run/enclave-manager/host/host.key }
{{- else if eq $manager.Sealing "tpm2" }}
- { name: ENCLAVE_MANAGER_TPM_TCTI, value: {{ $manager.Tpm.Tcti | quote }} }
{{- with $manager.Tpm.Pcrs }}
- { name: ENCLAVE_MANAGER_TPM_PCRS, value: {{ . | quote }} }
{{- end }}
{{- if $manager.Tpm.AuthoritiesConfigMapName }}
- { name: ENCLAVE_MANAGER_TPM_AUTHORITIES, value: /run/enclave-manager/tpm-authorities/authorities.pem }
{{- end }}
{{- if $manager.Tpm.ApprovalKeyConfigMapName }}
- { name: ENCLAVE_MANAGER_TPM_APPROVAL_KEY, value: /run/enclave-manager/tpm-approval/approval.pub }
{{- end }}
{{- else }}
{{- if $manager.Sgx.CollateralConfigMapName }}
- { name: ENCLAVE_MANAGER_SGX_COLLATERAL, value: /run/enclave-manager/sgx-collateral/collateral.json }
{{- end }}
{{- with $manager.Sgx.Signers }}
- { name: ENCLAVE_MANAGER_SGX_SIGNERS, value: {{ join "," . | quote }} }
{{- end }}
{{- end }}
{{- end }}

{{/*
  One list for mounts and volumes, so that neither can be without the other: name → path, and the volume's source.
*/}}
{{- define "enclaveos.manager.mounts" -}}
{{- $s3 := .Values.global.S3 -}}
{{- $manager := .Values.Manager -}}
{{- $base := "/run/enclave-manager" -}}
state: { path: /data, source: { hostPath: { path: {{ printf "%s/%s/%s" (trimSuffix "/" $manager.StatePath) .Release.Namespace .Release.Name | quote }}, type: DirectoryOrCreate } } }
tmp: { path: /tmp, source: { emptyDir: {} } }
{{- if .Values.global.Database.UrlSecretName }}
database: { path: {{ $base }}/database, readOnly: true, source: { secret: { secretName: {{ .Values.global.Database.UrlSecretName }} } } }
{{- else if not .Values.CockroachDB.Insecure }}
database: { path: {{ $base }}/database, readOnly: true, source: { secret: { secretName: {{ include "enclaveos.database.certificates" . }}, items: [{ key: ca.crt, path: ca.crt }, { key: client.enclave_manager.crt, path: client.enclave_manager.crt }, { key: client.enclave_manager.key, path: client.enclave_manager.key }] } } }
{{- end }}
{{- if $s3.Bucket }}
s3: { path: {{ $base }}/s3, readOnly: true, source: { secret: { secretName: {{ $s3.HmacSecretName }} } } }
{{- with $s3.CaSecretName }}
s3-ca: { path: {{ $base }}/s3-ca, readOnly: true, source: { secret: { secretName: {{ . }} } } }
{{- end }}
{{- with .Values.Backup.PruneHmacSecretName }}
s3-prune: { path: {{ $base }}/s3-prune, readOnly: true, source: { secret: { secretName: {{ . }} } } }
{{- end }}
{{- end }}
{{- if eq $manager.Sealing "software" }}
software-key: { path: {{ $base }}/host, readOnly: true, source: { emptyDir: { medium: Memory, sizeLimit: 1Mi } } }
{{- else if eq $manager.Sealing "tpm2" }}
{{- if include "enclaveos.manager.privileged" . }}
tpm: { path: {{ trimPrefix "device:" $manager.Tpm.Tcti }}, source: { hostPath: { path: {{ trimPrefix "device:" $manager.Tpm.Tcti }}, type: CharDevice } } }
{{- end }}
{{- with $manager.Tpm.AuthoritiesConfigMapName }}
tpm-authorities: { path: {{ $base }}/tpm-authorities, readOnly: true, source: { configMap: { name: {{ . }} } } }
{{- end }}
{{- with $manager.Tpm.ApprovalKeyConfigMapName }}
tpm-approval: { path: {{ $base }}/tpm-approval, readOnly: true, source: { configMap: { name: {{ . }} } } }
{{- end }}
{{- else }}
{{- with $manager.Sgx.AesmdDirectory }}
aesmd: { path: {{ . }}, source: { hostPath: { path: {{ . }}, type: Directory } } }
{{- end }}
{{- with $manager.Sgx.CollateralConfigMapName }}
sgx-collateral: { path: {{ $base }}/sgx-collateral, readOnly: true, source: { configMap: { name: {{ . }} } } }
{{- end }}
{{- end }}
{{- end }}

{{- define "enclaveos.manager.volumeMounts" -}}
{{- range $name, $mount := include "enclaveos.manager.mounts" . | fromYaml }}
- name: {{ $name }}
  mountPath: {{ $mount.path }}
  {{- if $mount.readOnly }}
  readOnly: true
  {{- end }}
{{- end }}
{{- end }}

{{- define "enclaveos.manager.volumes" -}}
{{- range $name, $mount := include "enclaveos.manager.mounts" . | fromYaml }}
- name: {{ $name }}
  {{- toYaml $mount.source | nindent 2 }}
{{- end }}
{{- if eq .Values.Manager.Sealing "software" }}
- name: software-keys
  secret:
    secretName: {{ .Values.Manager.SoftwareKeySecretName }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* The pod without its main container. */}}
{{- define "enclaveos.manager.pod" -}}
serviceAccountName: {{ include "enclaveos.manager.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "enclaveos.pullSecrets" . }}
securityContext:
  {{- include "enclaveos.manager.podSecurity" . | nindent 2 }}
{{- with .Values.Manager.NodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.Manager.Tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.Manager.PriorityClassName }}
priorityClassName: {{ . }}
{{- end }}
initContainers:
  {{- include "enclaveos.manager.initContainers" . | nindent 2 }}
volumes:
  {{- include "enclaveos.manager.volumes" . | trim | nindent 2 }}
{{- end }}
