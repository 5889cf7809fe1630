{{/* What the schema cannot say: values that do not fit each other. Each message names the value and the way out. */}}
{{- define "enclaveos.checks" -}}
{{- $s3 := .Values.global.S3 }}
{{- if gt (len .Release.Name) 30 }}
{{- fail (printf "the release name %q has %d characters; the names made from it leave room for 30" .Release.Name (len .Release.Name)) }}
{{- end }}
{{- include "enclaveos.checks.sealing" . }}
{{- if $s3.Bucket }}
{{- if not $s3.HmacSecretName }}
{{- fail "global.S3.Bucket is set, and global.S3.HmacSecretName is not: name the Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" }}
{{- end }}
{{- if not (or $s3.Endpoint $s3.Region) }}
{{- fail "global.S3.Bucket is set, and neither global.S3.Endpoint nor global.S3.Region is: say where the object storage is" }}
{{- end }}
{{- else }}
{{- range $name, $value := dict "global.S3.Endpoint" $s3.Endpoint "global.S3.HmacSecretName" $s3.HmacSecretName "enclaveos-chart.Backup.S3Prefix" .Values.Backup.S3Prefix "enclaveos-chart.Backup.CronSchedule" .Values.Backup.CronSchedule "enclaveos-chart.Backup.PruneSchedule" .Values.Backup.PruneSchedule }}
{{- if $value }}
{{- fail (printf "%s is set, and global.S3.Bucket is not: name the bucket, or leave every backup value away" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.CockroachDB.Insecure .Values.CockroachDB.CertificatesSecretName }}
{{- fail "enclaveos-chart.CockroachDB.Insecure=true uses no certificates, and enclaveos-chart.CockroachDB.CertificatesSecretName names some: leave one of them away" }}
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

{{/* A single node keeps one copy of everything, and goes on doing so when others join. */}}
{{- define "enclaveos.checks.replicas" -}}
{{- $running := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "enclaveos.database.name" .) }}
{{- if and $running (not .Values.global.Database.UrlSecretName) }}
{{- if ne (int $running.spec.replicas) (int .Values.CockroachDB.Replicas) }}
{{- fail (printf "enclaveos-chart.CockroachDB.Replicas is %d, and %d run: that is chosen at the first installation. Take a backup, install a release with %d, and restore there" (int .Values.CockroachDB.Replicas) (int $running.spec.replicas) (int .Values.CockroachDB.Replicas)) }}
{{- end }}
{{- end }}
{{- end }}
