{{- /* Names, labels and references that several objects share. */ -}}

{{- define "sluice.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* dict "root" "component" and, of consumers, "group" */ -}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
sluice/group: {{ . }}
{{- end }}
{{- end -}}

{{- define "sluice.release" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "sluice.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "sluice.labels" . | nindent 2 }}
{{- end -}}

{{- /* dict "value": a setting as an environment variable has it. Numbers go through JSON: Helm would write 604800 as 6.048e+05. */ -}}
{{- define "sluice.setting" -}}
{{- if kindIs "string" .value }}{{ .value }}
{{- else if kindIs "slice" .value }}{{ join "," .value }}
{{- else }}{{ toJson .value }}
{{- end -}}
{{- end -}}

{{- define "sluice.settings" -}}
{{- range $name, $value := .Values.config }}
{{ $name }}: {{ include "sluice.setting" (dict "value" $value) | quote }}
{{- end }}
SLUICE_API_HOST: {{ .Values.listenAddress | quote }}
SLUICE_API_PORT: "8000"
SLUICE_PRIVATE_HOST: {{ .Values.listenAddress | quote }}
SLUICE_API_PRIVATE_PORT: "8001"
SLUICE_CONSUMER_PRIVATE_PORT: "8002"
SLUICE_LAME_DUCK_S: {{ .Values.api.lameDuckSeconds | quote }}
{{- with .Values.api.trustedProxies }}
SLUICE_TRUSTED_PROXIES: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{- /* "yes" where the api cannot tell clients apart by their addresses, and counts failures by these. */ -}}
{{- define "sluice.clientsCountAsOne" -}}
{{- if not (or .Values.api.trustedProxies (eq (toString .Values.config.SLUICE_FAILED_AUTH_RATE) "off")) }}yes{{ end -}}
{{- end -}}

{{- /* The root, and "postgres" where its address is another. Each secret is one key of one Secret; nothing of it is in the chart. */ -}}
{{- define "sluice.secrets" -}}
{{- $secrets := dict "SLUICE_POSTGRES_URL" (.postgres | default .Values.servers.postgres) "SLUICE_REDIS_URL" .Values.servers.redis "SLUICE_KEY_PEPPER" .Values.keyPepper -}}
{{- if .Values.servers.rabbitmq.enabled }}{{ $_ := set $secrets "SLUICE_RABBITMQ_URL" .Values.servers.rabbitmq }}{{ end -}}
{{- range $name, $at := $secrets }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $at.secret | default $.Values.existingSecret }}, key: {{ $at.key }}}}
{{- end }}
{{- end -}}

{{- /* dict "root" "group": a group of consumers with the defaults filled in, as JSON */ -}}
{{- define "sluice.group" -}}
{{- $given := index .root.Values.consumers .group | default dict -}}
{{- mergeOverwrite (deepCopy .root.Values.consumerDefaults) (deepCopy $given) | toJson -}}
{{- end -}}
