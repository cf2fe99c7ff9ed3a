{{- /* The name of the objects. A release named after the chart keeps its name; others, such as an
umbrella chart, have theirs in front. A Service's name has no dot and at most 63 characters. */ -}}
{{- define "bobsync.name" -}}
{{- $name := .Release.Name }}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride }}
{{- else if not (contains "bobsync" .Release.Name) }}{{ $name = printf "%s-bobsync" .Release.Name }}
{{- end }}
{{- $name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "bobsync.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "bobsync.name" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "bobsync.selector" -}}
app.kubernetes.io/name: bobsync
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bobsync.labels" -}}
{{ include "bobsync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- range $key, $value := .Values.commonLabels }}
{{- if or (hasPrefix "app.kubernetes.io/" $key) (eq $key "helm.sh/chart") }}
{{- fail (printf "commonLabels: the chart sets %s itself" $key) }}
{{- end }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- /* The controller's rights in its namespaces. It uses each of these verbs; a test checks that. */ -}}
{{- define "bobsync.rules" -}}
- apiGroups: [bobsync.dev]
  resources: [provisioningintegrations]
  verbs: [list, watch]
- apiGroups: [bobsync.dev]
  resources: [provisioningintegrations/status]
  verbs: [patch]
- apiGroups: [bobsync.dev]
  resources: [employeesyncs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [bobsync.dev]
  resources: [employeesyncs/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "bobsync.stopDelay" -}}
{{- if .Values.webhooks.service }}{{ .Values.webhooks.stopDelaySeconds | int }}{{ else }}0{{ end }}
{{- end -}}

{{- define "bobsync.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}
{{- else }}:{{ .tag | default ($.Chart.AppVersion | replace "+" "_") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "bobsync.trustsCA" -}}
{{- if or .Values.trustedCA.configMap .Values.trustedCA.secret }}true{{ end }}
{{- end }}
