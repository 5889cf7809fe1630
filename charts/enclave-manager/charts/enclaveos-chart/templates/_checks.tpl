{{/* What the schema cannot say: values that do not fit each other. Each message names the value and the way out. */}}
{{- define "enclaveos.checks" -}}
{{- $s3 := .Values.global.S3 }}
{{- if gt (len .Release.Name) 30 }}
{{- fail (printf "the release name %q has %d characters; the names made from it leave room for 30" .Release.Name (len .Release.Name)) }}
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "the release name %q: write small letters, digits and -, and begin with a letter; Services are named after it" .Release.Name) }}
{{- end }}
{{- include "enclaveos.checks.sealing" . }}
{{- range $name := list "CronSchedule" "DrillSchedule" "PruneSchedule" }}
{{- include "enclaveos.checks.cron" (dict "name" $name "value" (get $.Values.Backup $name)) }}
{{- end }}
{{- if $s3.Bucket }}
{{- if not $s3.HmacSecretName }}
{{- fail "global.S3.Bucket is set, and global.S3.HmacSecretName is not: name the Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" }}
{{- end }}
{{- if not (or $s3.Endpoint $s3.Region) }}
{{- fail "global.S3.Bucket is set, and neither global.S3.Endpoint nor global.S3.Region is: say where the object storage is" }}
{{- end }}
{{- else }}
{{- range $name, $value := dict "global.S3.Endpoint" $s3.Endpoint "global.S3.HmacSecretName" $s3.HmacSecretName "global.S3.Region" $s3.Region "global.S3.CaSecretName" $s3.CaSecretName "enclaveos-chart.Backup.S3Prefix" .Values.Backup.S3Prefix "enclaveos-chart.Backup.CronSchedule" .Values.Backup.CronSchedule "enclaveos-chart.Backup.PruneSchedule" .Values.Backup.PruneSchedule "enclaveos-chart.Backup.PruneHmacSecretName" .Values.Backup.PruneHmacSecretName }}
{{- if $value }}
{{- fail (printf "%s is set, and global.S3.Bucket is not: name the bucket, or leave every backup value away" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.CockroachDB.Insecure .Values.CockroachDB.CertificatesSecretName }}
{{- fail "enclaveos-chart.CockroachDB.Insecure=true uses no certificates, and enclaveos-chart.CockroachDB.CertificatesSecretName names some: leave one of them away" }}
{{- end }}
{{- if and .Values.Manager.Ingress.Enabled (not .Values.Manager.Ingress.Host) }}
{{- fail "enclaveos-chart.Manager.Ingress.Enabled=true needs enclaveos-chart.Manager.Ingress.Host: the name under which the managers are reached" }}
{{- end }}
{{- include "enclaveos.checks.replicas" . }}
{{- end }}

{{- define "enclaveos.checks.sealing" -}}
{{- $manager := .Values.Manager }}
{{- if not $manager.Sealing }}
{{- fail "enclaveos-chart.Manager.Sealing is not set: say what seals the keys of the hosts: sgx, tpm2, or software (for development)" }}
{{- end }}
{{- if and (eq $manager.Sealing "software") (not $manager.SoftwareKeySecretName) }}
{{- fail "enclaveos-chart.Manager.Sealing=software needs enclaveos-chart.Manager.SoftwareKeySecretName: a Secret with one entry for each host, <node name>.key, of 32 random bytes; whoever reads it is that host" }}
{{- end }}
{{- if and (ne $manager.Sealing "software") $manager.SoftwareKeySecretName }}
{{- fail (printf "enclaveos-chart.Manager.SoftwareKeySecretName is set, and enclaveos-chart.Manager.Sealing is %s: it is for software only" $manager.Sealing) }}
{{- end }}
{{- end }}

{{/* dict: name, value. The schema has seen to it that there are five fields, or none. */}}
{{- define "enclaveos.checks.cron" -}}
{{- $numbers := list "[0-5]?[0-9]" "([01]?[0-9]|2[0-3])" "(0?[1-9]|[12][0-9]|3[01]|L)" "(0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))" "([0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))(#[1-5L]|L)?" }}
{{- $fields := list "minute, 0-59" "hour, 0-23" "day of month, 1-31" "month, 1-12" "day of week, 0-7" }}
{{- range $index, $field := regexSplit "\\s+" (trim .value) -1 }}
{{- if $field }}
{{- $number := index $numbers $index }}
{{- $part := printf "(\\*|%s(-%s)?)(/[1-9][0-9]?)?" $number $number }}
{{- if not (regexMatch (printf "^%s(,%s)*$" $part $part) $field) }}
{{- fail (printf "enclaveos-chart.Backup.%s=%q has %q as field %d (%s). Write five cron fields, always UTC: \"0 0 * * *\" is every midnight" $.name $.value $field (add1 $index) (index $fields $index)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A single node keeps one copy of everything, and goes on doing so when others join; its volume outlives the release. */}}
{{- define "enclaveos.checks.replicas" -}}
{{- if not .Values.global.Database.UrlSecretName }}
{{- $name := include "enclaveos.database.name" . }}
{{- $wanted := int .Values.CockroachDB.Replicas }}
{{- $nodes := 0 }}
{{- range until 3 }}
{{- if lookup "v1" "PersistentVolumeClaim" $.Release.Namespace (printf "datadir-%s-%d" $name .) }}
{{- $nodes = add1 $nodes }}
{{- end }}
{{- end }}
{{- $running := lookup "apps/v1" "StatefulSet" .Release.Namespace $name }}
{{- if $running }}
{{- $nodes = $running.spec.replicas }}
{{- end }}
{{- if and (gt (int $nodes) 0) (ne (int $nodes) $wanted) }}
{{- fail (printf "enclaveos-chart.CockroachDB.Replicas is %d, and there are volumes of %d: that is chosen at the first installation. Take a backup, install a release of another name with %d, and restore there" $wanted (int $nodes) $wanted) }}
{{- end }}
{{- end }}
{{- end }}
