{{- /* What the schema cannot say: each refusal names the remedy. */ -}}
{{- define "sluice.refuse" -}}
{{- $values := .Values -}}
{{- if and (not $values.image.digest) $values.image.pinned -}}
  {{- fail "\n\nimage.digest is not set: give the sha256:… of the release. For a try-out with an image that you loaded into the nodes, set image.tag and image.pinned=false.\n" -}}
{{- else if not (or $values.image.digest $values.image.tag) -}}
  {{- fail "\n\nimage.tag is not set: with image.pinned=false it has to name the image, as there is no digest.\n" -}}
{{- end -}}
{{- include "sluice.refuseNames" . -}}
{{- include "sluice.refuseSecrets" . -}}
{{- include "sluice.refuseLanes" . -}}
{{- include "sluice.refuseRoutes" . -}}
{{- if and $values.monitoring.rules.enabled (not (.Files.Glob "files/rules/*.yml")) -}}
  {{- fail "\n\nmonitoring.rules.enabled: this copy of the chart holds no rules in files/rules. Take the packaged chart of a release, or a whole clone.\n" -}}
{{- end -}}
{{- if and $values.monitoring.dashboards.enabled (not (.Files.Glob "files/dashboards/*.json")) -}}
  {{- fail "\n\nmonitoring.dashboards.enabled: this copy of the chart holds no dashboards in files/dashboards. Take the packaged chart of a release, or a whole clone.\n" -}}
{{- end -}}
{{- end -}}

{{- define "sluice.refuseNames" -}}
{{- $name := include "sluice.name" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
  {{- fail (printf "\n\nNames of objects would begin with %s, and no Service may be called so: set fullnameOverride to small letters, digits and hyphens, with a letter first.\n" $name) -}}
{{- end -}}
{{- range $group, $_ := .Values.consumers -}}
  {{- $of := printf "%s-consumer-%s" $name $group -}}
  {{- if gt (len $of) 63 -}}
    {{- fail (printf "\n\n%s has %d characters, and labels that are made of it may have 63: set a shorter fullnameOverride, or give the group consumers.%s a shorter name.\n" $of (len $of) $group) -}}
  {{- end -}}
{{- end -}}
{{- range $label, $_ := include "sluice.labels" (dict "root" . "component" "api" "group" "any") | fromYaml -}}
  {{- if hasKey $.Values.podLabels $label -}}
    {{- fail (printf "\n\npodLabels.%s: the chart sets this label itself, and finds its pods by it: take it out.\n" $label) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "sluice.refuseSecrets" -}}
{{- $values := .Values -}}
{{- $secrets := dict "servers.postgres" $values.servers.postgres "servers.redis" $values.servers.redis "keyPepper" $values.keyPepper -}}
{{- if $values.servers.rabbitmq.enabled }}{{ $_ := set $secrets "servers.rabbitmq" $values.servers.rabbitmq }}{{ end -}}
{{- range $name, $at := $secrets -}}
  {{- if not (or $at.secret $values.existingSecret) -}}
    {{- fail (printf "\n\n%s has no Secret: make one with the key %s, and name it in existingSecret or in %s.secret.\n" $name $at.key $name) -}}
  {{- end -}}
  {{- if and $values.networkPolicy.enabled (hasKey $at "to") (not $at.to) -}}
    {{- fail (printf "\n\n%s.to is empty, so the network policies would keep Sluice from it: list where it is (peers of a NetworkPolicy, such as {ipBlock: {cidr: 10.1.2.3/32}}), or set networkPolicy.enabled=false.\n" $name) -}}
  {{- end -}}
{{- end -}}
{{- if and $values.smokeTest.enabled (not $values.smokeTest.apiKey.secret) -}}
  {{- fail "\n\nsmokeTest.apiKey.secret is not set: make an API key with `sluice keys create --tenant smoke-test --scopes submit,read,payloads`, put it into a Secret, and name that.\n" -}}
{{- end -}}
{{- end -}}

{{- define "sluice.refuseLanes" -}}
{{- $lanes := .Values.config.SLUICE_LANES -}}
{{- $served := list -}}
{{- range $name, $lane := $lanes -}}
  {{- if eq (int $lane.slots) 0 -}}
    {{- fail (printf "\n\nconfig.SLUICE_LANES.%s.slots is 0, which is one slot per processor of the node, whatever a pod may use of it: give a number.\n" $name) -}}
  {{- end -}}
{{- end -}}
{{- range $group, $_ := .Values.consumers -}}
  {{- $values := include "sluice.group" (dict "root" $ "group" $group) | fromJson -}}
  {{- include "sluice.refuseScale" (dict "of" (printf "consumers.%s.hpa" $group) "scale" $values.hpa) -}}
  {{- include "sluice.refuseScale" (dict "of" (printf "consumers.%s.keda" $group) "scale" $values.keda) -}}
  {{- if and $values.hpa $values.keda -}}
    {{- fail (printf "\n\nconsumers.%s has hpa and keda: two autoscalers would work against each other. Keep one.\n" $group) -}}
  {{- end -}}
  {{- if and $values.keda $.Values.networkPolicy.enabled (not $.Values.networkPolicy.keda) -}}
    {{- fail (printf "\n\nconsumers.%s.keda: networkPolicy.keda is empty, so KEDA could not ask the api: list its peers, such as {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: keda}}}.\n" $group) -}}
  {{- end -}}
  {{- range $lane := $values.lanes -}}
    {{- if not (hasKey $lanes $lane) -}}
      {{- fail (printf "\n\nconsumers.%s.lanes: there is no lane %s; config.SLUICE_LANES has %s.\n" $group $lane (keys $lanes | sortAlpha | join ", ")) -}}
    {{- end -}}
  {{- end -}}
  {{- $served = concat $served ($values.lanes | default (keys $lanes)) -}}
{{- end -}}
{{- range $lane, $_ := $lanes -}}
  {{- if not (has $lane $served) -}}
    {{- fail (printf "\n\nno group of consumers serves the lane %s, so its jobs would wait for ever: add it to the lanes of one.\n" $lane) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- /* dict "of" "scale": bounds of an autoscaler */ -}}
{{- define "sluice.refuseScale" -}}
{{- with .scale -}}
  {{- if gt (int .minReplicas) (int .maxReplicas) -}}
    {{- fail (printf "\n\n%s: minReplicas %v is more than maxReplicas %v, so nothing would scale: raise maxReplicas.\n" $.of .minReplicas .maxReplicas) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "sluice.refuseRoutes" -}}
{{- $api := .Values.api -}}
{{- include "sluice.refuseScale" (dict "of" "api.hpa" "scale" $api.hpa) -}}
{{- if $api.ingress.enabled -}}
  {{- if not $api.ingress.host }}{{ fail "\n\napi.ingress.host is not set: give the name that clients use.\n" }}{{ end -}}
  {{- if not (or $api.ingress.tlsSecret $api.ingress.allowPlainHttp) -}}
    {{- fail "\n\napi.ingress.tlsSecret is not set: API keys would travel in the clear. Name a Secret with a certificate, or set api.ingress.allowPlainHttp=true where something in front ends TLS.\n" -}}
  {{- end -}}
{{- end -}}
{{- if and $api.httpRoute.enabled (not (and $api.httpRoute.parentRefs $api.httpRoute.hostnames)) -}}
  {{- fail "\n\napi.httpRoute needs parentRefs (the Gateway) and hostnames.\n" -}}
{{- end -}}
{{- if and (or $api.ingress.enabled $api.httpRoute.enabled) (include "sluice.clientsCountAsOne" .) -}}
  {{- fail "\n\napi.trustedProxies is empty, so all clients would count as one, the proxy: 20 requests a minute without a valid key, of anybody, and every key that a process does not know yet is refused. List the addresses of the pods of the ingress controller or Gateway, such as 10.0.0.0/8, or set config.SLUICE_FAILED_AUTH_RATE to \"off\".\n" -}}
{{- end -}}
{{- if and (or $api.ingress.enabled $api.httpRoute.enabled (ne $api.service.type "ClusterIP")) .Values.networkPolicy.enabled (not .Values.networkPolicy.clients) -}}
  {{- fail "\n\nnetworkPolicy.clients is empty, so nothing could reach the API: list the peers of the ingress controller, Gateway or load balancer, such as {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}.\n" -}}
{{- end -}}
{{- if and .Values.config.SLUICE_OTLP_URL .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
  {{- fail "\n\nconfig.SLUICE_OTLP_URL: networkPolicy.egress is empty, so no span would reach the collector: add a rule, such as {to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tracing}}}], ports: [{port: 4318}]}.\n" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.networkPolicy.webhooks (not .Values.networkPolicy.dns) -}}
  {{- fail "\n\nnetworkPolicy.webhooks: networkPolicy.dns is empty, so nobody would answer the names of their endpoints: list its peers, such as {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}.\n" -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.monitoring) -}}
  {{- fail "\n\nnetworkPolicy.monitoring is empty, so Prometheus could not scrape: list its peers, such as {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}.\n" -}}
{{- end -}}
{{- end -}}
