{{- define "bobsync.serviceAccount" -}}
{{ .Values.serviceAccount.name | default .Release.Name }}
{{- end }}

{{- define "bobsync.selector" -}}
app.kubernetes.io/name: bobsync
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bobsync.labels" -}}
{{ include "bobsync.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
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
