{{/*
  The options with which this release was made, to be typed again: a `helm upgrade` that names any forgets the others, and
  one that names none keeps ReplicaCount=0. What is not the default is compared with files/defaults.json, as JSON where it
  is not one plain value. Groups begin with a capital letter.
*/}}
{{- define "enclave-manager.options" -}}
{{- $defaults := .Files.Get "files/defaults.json" | fromJson }}
{{- $lines := include "enclave-manager.differences" (dict "path" "" "values" (dict "global" .Values.global "enclaveos-chart" (omit (index .Values "enclaveos-chart") "global" "Job")) "defaults" $defaults) }}
{{- range $line := splitList "\n" $lines }}
{{- if $line }} \
    {{ $line }}
{{- end }}
{{- end }}
{{- end }}

{{/* dict: path, values, defaults. One option to a line. */}}
{{- define "enclave-manager.differences" -}}
{{- range $name := keys .values | sortAlpha }}
{{- $path := printf "%s%s" $.path $name }}
{{- $value := get $.values $name }}
{{- $default := get $.defaults $name }}
{{- $isGroup := and (kindIs "map" $value) (or (eq $.path "") (regexMatch "^[A-Z]" (keys $value | sortAlpha | first | default ""))) }}
{{- if $isGroup }}
{{- include "enclave-manager.differences" (dict "path" (printf "%s." $path) "values" $value "defaults" $default) }}
{{- else if and (ne (toJson $value) (toJson $default)) (ne $path "enclaveos-chart.Manager.ReplicaCount") }}
{{- include "enclave-manager.option" (dict "path" $path "value" $value) }}
{{ end }}
{{- end }}
{{- end }}

{{/* In single quotes for the shell; a comma would end the value for Helm, and a text that looks like a number would become one. */}}
{{- define "enclave-manager.option" -}}
{{- $value := .value }}
{{- if or (kindIs "map" $value) (kindIs "slice" $value) -}}
--set-json '{{ .path }}={{ toJson $value | replace "'" "'\\''" }}'
{{- else }}
{{- $text := toString $value | replace "\\" "\\\\" | replace "," "\\," | replace "'" "'\\''" }}
{{- $plain := or (not (kindIs "string" $value)) (not (regexMatch "^([0-9.+-]+|true|false|null|~)$" $value)) -}}
{{ ternary "--set" "--set-string" $plain }} '{{ .path }}={{ $text }}'
{{- end }}
{{- end }}
