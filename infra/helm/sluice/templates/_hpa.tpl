{{- /* dict "root" "component" "group" "name" "hpa": by processor time; slow to take away, as what runs has to end first */ -}}
{{- define "sluice.hpa" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "sluice.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
  minReplicas: {{ .hpa.minReplicas }}
  maxReplicas: {{ .hpa.maxReplicas }}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ .hpa.cpu }}}}
  behavior: {{- include "sluice.behavior" . | nindent 4 }}
{{- end -}}

{{- /* One pod fewer in two minutes, after five minutes of calm; up at once. */ -}}
{{- define "sluice.behavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - {type: Percent, value: 100, periodSeconds: 15}
    - {type: Pods, value: 4, periodSeconds: 15}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - {type: Pods, value: 1, periodSeconds: 120}
{{- end -}}
