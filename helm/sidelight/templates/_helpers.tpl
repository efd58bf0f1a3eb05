{{- define "sidelight.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: a Deployment's selector may not. Call with (list $ "webhook"). */}}
{{- define "sidelight.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: sidelight
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "sidelight.labels" -}}
{{- $ := index . 0 -}}
{{ include "sidelight.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version }}
{{- end -}}

{{/* Whether the namespaces are written down here, and nobody writes to the configuration. */}}
{{- define "sidelight.staticNamespaces" -}}
{{- and (not (empty .Values.watch.namespaces)) .Values.certManager.enabled -}}
{{- end -}}

{{/* The Secret that the webhook mounts: cert-manager's, or the one that the controller fills. */}}
{{- define "sidelight.certificateSecret" -}}
{{ include "sidelight.fullname" . }}-webhook-{{ .Values.certManager.enabled | ternary "tls" "certificate" }}
{{- end -}}

{{- define "sidelight.image" -}}
{{- $ := index . 0 -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default $.Chart.AppVersion }}
{{- end -}}

{{/* What both roles' pods have in common: runs under Pod Security "restricted". */}}
{{- define "sidelight.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sidelight.container" -}}
image: {{ include "sidelight.image" (list $ .Values.image.operator) }}
imagePullPolicy: {{ .Values.image.operator.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
env:
  # kopf wants a user's name for its identity, and the image has none for this user id.
  - {name: USER, value: sidelight}
  # Which image is injected: the controller compares pods with what the webhook would do.
  - {name: SIDELIGHT_SIDECAR_IMAGE, value: {{ include "sidelight.image" (list $ .Values.image.sidecar) | quote }}}
  - {name: SIDELIGHT_SIDECAR_PULL_POLICY, value: {{ .Values.image.sidecar.pullPolicy }}}
  - {name: SIDELIGHT_SIDECAR_PULL_SECRETS, value: {{ join "," .Values.image.sidecar.pullSecrets | quote }}}
  # So do these: what a pod is given depends on them.
  - {name: SIDELIGHT_NVML_MEMORY, value: {{ .Values.gpu.nvmlMemory | quote }}}
  - {name: SIDELIGHT_ALLOW_UNSAFE_VISIBLE_ALL, value: {{ .Values.gpu.allowUnsafeVisibleAll | quote }}}
  - {name: SIDELIGHT_LOG_LEVEL, value: {{ .Values.logLevel }}}
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}
