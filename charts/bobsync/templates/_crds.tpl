{{- /* Says who has the CRDs if it is not this release: Helm would refuse to change them. */ -}}
{{- define "bobsync.foreignCRDs" -}}
{{- if and .Values.crds.install (not .Values.crds.takeOver) }}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "provisioningintegrations.bobsync.dev" }}
{{- $annotations := dig "metadata" "annotations" dict . }}
{{- $name := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- if not $name }}they were not installed by Helm
{{- else if or (ne $name $.Release.Name) (ne $namespace $.Release.Namespace) }}they belong to the release {{ $namespace }}/{{ $name }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
