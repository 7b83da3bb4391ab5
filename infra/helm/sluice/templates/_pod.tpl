{{- /* The pods of all four components. dict "root" "component" "group" and "args", "env", "resources", "stopSeconds", "scheduling", */ -}}
{{- /* "ports" (name: number), "config" (whether it reads the ConfigMap); with the port "private" it has probes. */ -}}
{{- define "sluice.pod" -}}
{{- $values := .root.Values -}}
{{- $scheduling := .scheduling | default dict -}}
metadata:
  labels: {{- include "sluice.labels" . | nindent 4 }}
    {{- with $values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    kubectl.kubernetes.io/default-container: sluice
    {{- if .config }}
    checksum/config: {{ include "sluice.settings" .root | sha256sum }}
    {{- end }}
    {{- with $values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  automountServiceAccountToken: false
  {{- if .config }}
  serviceAccountName: {{ include "sluice.name" .root }}
  {{- end }}
  # Or a Service called sluice-api would set SLUICE_API_PORT.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .stopSeconds 10 }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    seccompProfile: {type: RuntimeDefault}
  {{- with $scheduling.priorityClassName | default $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $scheduling.nodeSelector | default $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $scheduling.tolerations | default $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .ports }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector: {matchLabels: {{ include "sluice.selector" $ | fromYaml | toJson }}}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  containers:
    - name: sluice
      image: {{ include "sluice.image" .root }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: {{ .command | toJson }}
      {{- if .config }}
      envFrom:
        - configMapRef: {name: {{ include "sluice.name" .root }}}
      {{- end }}
      env: {{- .env | nindent 8 }}
      {{- with .ports }}
      ports:
        {{- range $name, $number := . }}
        - {name: {{ $name }}, containerPort: {{ $number }}}
        {{- end }}
      # The private port opens once the handlers' modules are loaded, which may take SLUICE_START_S.
      startupProbe:
        httpGet: {path: /livez, port: private}
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: {{ div (add (int (index $values.config "SLUICE_START_S" | default 30)) 31) 2 }}
      # Whether the event loop answers, and nothing else: a restart brings no server back.
      livenessProbe:
        httpGet: {path: /livez, port: private}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Unready as soon as the process was told to stop, and while PostgreSQL is away; it waits 1 s for PostgreSQL.
      readinessProbe:
        httpGet: {path: /readyz, port: private}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      {{- end }}
      resources: {{- toYaml .resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if or $values.certificates.secret $values.certificates.configMap }}
        - {name: certificates, mountPath: /etc/sluice/certificates, readOnly: true}
        {{- end }}
  volumes:
    {{- if or $values.certificates.secret $values.certificates.configMap }}
    - name: certificates
      projected:
        sources:
          {{- with $values.certificates.secret }}
          - secret: {name: {{ . }}}
          {{- end }}
          {{- with $values.certificates.configMap }}
          - configMap: {name: {{ . }}}
          {{- end }}
    {{- end }}
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: {{ $values.tmp.sizeLimit }}}
{{- end -}}
