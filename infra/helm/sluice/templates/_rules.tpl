{{- /* The groups of rules of the repository, without the alerts that are not wanted, each for what is in the release's namespace. */ -}}
{{- define "sluice.rules" -}}
{{- $wanted := .Values.monitoring.rules -}}
{{- $groups := list -}}
{{- $alerts := list -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yml" -}}
  {{- range (($.Files.Get $path) | fromYaml).groups -}}
    {{- $kept := list -}}
    {{- range .rules -}}
      {{- $alerts = append $alerts (.alert | default "") -}}
      {{- if not (and .alert (has .alert $wanted.without)) -}}
        {{- $kept = append $kept (include "sluice.rule" (dict "root" $ "rule" .) | fromJson) -}}
      {{- end -}}
    {{- end -}}
    {{- if $kept }}{{ $groups = append $groups (dict "name" .name "rules" $kept) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- range $wanted.without -}}
  {{- if not (has . $alerts) }}{{ fail (printf "\n\nmonitoring.rules.without: there is no alert %s; docs/operations.md lists them all.\n" .) }}{{ end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{- /* dict "root" "rule". Dev, staging and prod may have one Prometheus: an api that is away in one would be hidden by the others. */ -}}
{{- define "sluice.rule" -}}
{{- $rule := .rule -}}
{{- with get .root.Values.monitoring.rules.seconds ($rule.alert | default "") -}}
  {{- $expr := regexReplaceAll "_seconds\\) > [0-9]+" $rule.expr (printf "_seconds) > %d" (int64 .)) -}}
  {{- $rule = merge (dict "expr" $expr) $rule -}}
{{- end -}}
{{- with .root.Values.monitoring.rules.namespaceLabel -}}
  {{- $namespace := $.root.Release.Namespace -}}
  {{- $only := printf "%s=%q" . $namespace -}}
  {{- $names := "(sluice[_:][a-z0-9_:]+|process_[a-z_]+|up)" -}}
  {{- $expr := regexReplaceAll (printf "\\b%s\\{" $names) $rule.expr (printf "${1}{%s, " $only) -}}
  {{- $expr = regexReplaceAll (printf "\\b%s([^a-z0-9_:{=]|$)" $names) $expr (printf "${1}{%s}${2}" $only) -}}
  {{- $rule = merge (dict "expr" $expr "labels" (merge (dict . $namespace) ($rule.labels | default dict))) $rule -}}
{{- end -}}
{{- toJson $rule -}}
{{- end -}}
