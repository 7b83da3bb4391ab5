{{- /* dict "root" "group": what a group of consumers sets for itself */ -}}
{{- define "sluice.consumerEnv" -}}
{{- include "sluice.secrets" .root }}
- {name: SLUICE_SERVE_LANES, value: {{ join "," .group.lanes | quote }}}
- {name: SLUICE_STOP_S, value: {{ .group.stopSeconds | quote }}}
- {name: SLUICE_PROCESSES, value: {{ .group.processes | quote }}}
{{- end -}}

{{- /* Lanes that are served by groups of 0 replicas alone, with blanks between. */ -}}
{{- define "sluice.idleLanes" -}}
{{- $lanes := keys .Values.config.SLUICE_LANES | sortAlpha -}}
{{- $served := list -}}
{{- range $group, $_ := .Values.consumers -}}
  {{- $values := include "sluice.group" (dict "root" $ "group" $group) | fromJson -}}
  {{- if or $values.hpa $values.keda $values.replicas }}{{ $served = concat $served ($values.lanes | default $lanes) }}{{ end -}}
{{- end -}}
{{- range $lanes }}{{ if not (has . $served) }}{{ . }} {{ end }}{{ end -}}
{{- end -}}

{{- /* dict "root" "group" "name" "keda" "lanes". /scaling counts running jobs too, so busy pods are not in excess. */ -}}
{{- define "sluice.scaledObject" -}}
{{- $query := list -}}
{{- with .lanes }}{{ $query = append $query (printf "lanes=%s" (join "," .)) }}{{ end -}}
{{- $query = append $query (printf "wait_target_s=%v" (.keda.waitTargetSeconds | default 30)) -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{- include "sluice.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ .name }}}
  minReplicaCount: {{ .keda.minReplicas }}
  maxReplicaCount: {{ .keda.maxReplicas }}
  pollingInterval: 15
  cooldownPeriod: 300
  # While nobody can say what waits, what runs stays.
  fallback: {failureThreshold: 3, replicas: {{ max 2 .keda.minReplicas }}, behavior: currentReplicasIfHigher}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {{- include "sluice.behavior" . | nindent 8 }}
  triggers:
    - type: metrics-api
      metricType: AverageValue
      metadata:
        url: http://{{ include "sluice.name" .root }}-api-private.{{ .root.Release.Namespace }}.svc:8001/scaling?{{ join "&" $query }}
        valueLocation: wanted
        targetValue: "1"
{{- end -}}
