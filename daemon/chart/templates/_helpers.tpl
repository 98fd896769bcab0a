{{- define "ovnqosd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ovnqosd.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "ovnqosd.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ovnqosd.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ovnqosd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ovnqosd.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is required without serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ovnqosd.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ovnqosd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ovnqosd.labels" -}}
{{ include "ovnqosd.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The environment of the daemon, as YAML */ -}}
{{- define "ovnqosd.environment" -}}
{{- $zone := eq .Values.mode "zone" -}}
OVNQOSD_MODE: {{ .Values.mode }}
{{- if $zone }}
OVNQOSD_NB: unix:/var/run/ovn/{{ .Values.northbound.socket }}
{{- else }}
OVNQOSD_NB: {{ .Values.northbound.remotes | quote }}
{{- if .Values.tls.secretName }}
OVNQOSD_PRIVATE_KEY: /etc/ovnqosd/tls/tls.key
OVNQOSD_CERTIFICATE: /etc/ovnqosd/tls/tls.crt
OVNQOSD_CA_CERT: /etc/ovnqosd/tls/ca.crt
{{- else if contains "ssl:" .Values.northbound.remotes }}
{{- fail "tls.secretName is required for ssl: remotes" }}
{{- end }}
{{- end }}
{{- if ne (include "ovnqosd.fullname" .) "ovnqosd" }}
OVNQOSD_LEASE_NAME: {{ include "ovnqosd.fullname" . }}
{{- end }}
{{- with .Values.clusterCIDRs }}
OVNQOSD_CLUSTER_CIDRS: {{ join "," . | quote }}
{{- end }}
{{- $own := dict "mode" "mode" "node" "mode" "nb" "northbound" "private_key" "tls" "certificate" "tls" "ca_cert" "tls" "cluster_cidrs" "clusterCIDRs" }}
{{- range $name, $value := .Values.settings }}
{{- if hasKey $own $name }}
{{- fail (printf "settings.%s: use the value %s" $name (get $own $name)) }}
{{- end }}
OVNQOSD_{{ upper $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- /* The pods of the Deployment and of the DaemonSet */ -}}
{{- define "ovnqosd.podTemplate" -}}
{{- $zone := eq .Values.mode "zone" -}}
metadata:
  labels:
    {{- include "ovnqosd.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/component: {{ .Values.mode }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: ovnqosd
    # A change of a setting starts the pods anew
    checksum/config: {{ include "ovnqosd.environment" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "ovnqosd.serviceAccountName" . }}
  enableServiceLinks: false
  priorityClassName: {{ default (ternary "system-node-critical" "system-cluster-critical" $zone) .Values.priorityClassName }}
  terminationGracePeriodSeconds: 30
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.tolerations }}
  tolerations:
    {{- toYaml .Values.tolerations | nindent 4 }}
  {{- else if $zone }}
  tolerations: # every node has pods whose limits must hold
  - operator: Exists
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if not $zone }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "ovnqosd.selectorLabels" . | nindent 14 }}
              app.kubernetes.io/component: central
  {{- end }}
  securityContext:
    {{- if $zone }}
    # The node's OVN runs as root and gives its socket the mode 0750. Without capabilities this root is an ordinary user
    # that owns the socket: file modes bind it, too.
    runAsUser: {{ .Values.runAsUser }}
    runAsGroup: {{ .Values.runAsGroup }}
    {{- else }}
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532 # may read the files of the secret
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  containers:
  - name: ovnqosd
    image: {{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- if $zone }}
    env:
    - name: OVNQOSD_NODE
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName
    {{- end }}
    envFrom:
    - configMapRef:
        name: {{ include "ovnqosd.fullname" . }}
    ports:
    - name: metrics
      containerPort: 9464
    startupProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 2
      failureThreshold: 30
    livenessProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: {path: /readyz, port: metrics}
      periodSeconds: 5
      timeoutSeconds: 5
    resources:
      {{- if .Values.resources }}
      {{- toYaml .Values.resources | nindent 6 }}
      {{- else if $zone }}
      requests: {cpu: 20m, memory: 128Mi}
      limits: {memory: 512Mi}
      {{- else }}
      requests: {cpu: 50m, memory: 128Mi}
      limits: {memory: 1Gi}
      {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    terminationMessagePolicy: FallbackToLogsOnError
    {{- if $zone }}
    volumeMounts:
    - name: ovn
      mountPath: /var/run/ovn
      readOnly: true # connecting to a socket writes nothing
    {{- else if .Values.tls.secretName }}
    volumeMounts:
    - name: tls
      mountPath: /etc/ovnqosd/tls
      readOnly: true
    {{- end }}
  {{- if $zone }}
  volumes:
  - name: ovn
    hostPath: # the folder, not the socket: a Northbound that starts anew makes a new one
      path: {{ .Values.northbound.hostPath }}
      type: Directory
  {{- else if .Values.tls.secretName }}
  volumes:
  - name: tls
    secret:
      secretName: {{ .Values.tls.secretName }}
      optional: true # a pod without it starts, and says which file is missing
      defaultMode: 0440
  {{- end }}
{{- end -}}
