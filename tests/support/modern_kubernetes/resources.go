package main

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
)

// core describes a resource of the core group that an update does not create.
func core(plural, singular, kind string, namespaced, status bool) resource {
	return resource{corev1.SchemeGroupVersion, plural, singular, kind, namespaced, status, false, true}
}

// resources are the built-in resources that are served, as kube-apiserver serves them but for defaulting and validation.
var resources = []resource{
	core("namespaces", "namespace", "Namespace", false, true),
	core("nodes", "node", "Node", false, true),
	core("pods", "pod", "Pod", true, true),
	core("services", "service", "Service", true, true),
	core("serviceaccounts", "serviceaccount", "ServiceAccount", true, false),
	core("secrets", "secret", "Secret", true, false),
	core("configmaps", "configmap", "ConfigMap", true, false),
	{corev1.SchemeGroupVersion, "events", "event", "Event", true, false, true, true},
	{appsv1.SchemeGroupVersion, "deployments", "deployment", "Deployment", true, true, false, true},
	{appsv1.SchemeGroupVersion, "daemonsets", "daemonset", "DaemonSet", true, true, false, true},
	{appsv1.SchemeGroupVersion, "statefulsets", "statefulset", "StatefulSet", true, true, false, true},
	{rbacv1.SchemeGroupVersion, "roles", "role", "Role", true, false, true, true},
	{rbacv1.SchemeGroupVersion, "rolebindings", "rolebinding", "RoleBinding", true, false, true, true},
	{rbacv1.SchemeGroupVersion, "clusterroles", "clusterrole", "ClusterRole", false, false, true, true},
	{rbacv1.SchemeGroupVersion, "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", false, false, true, true},
	{coordinationv1.SchemeGroupVersion, "leases", "lease", "Lease", true, false, true, false},
	{admissionregistrationv1.SchemeGroupVersion, "validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy", false, true, false, false},
	{admissionregistrationv1.SchemeGroupVersion, "validatingadmissionpolicybindings", "validatingadmissionpolicybinding", "ValidatingAdmissionPolicyBinding", false, false, false, false},
	{admissionregistrationv1.SchemeGroupVersion, "mutatingadmissionpolicies", "mutatingadmissionpolicy", "MutatingAdmissionPolicy", false, false, false, false},
	{admissionregistrationv1.SchemeGroupVersion, "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding", "MutatingAdmissionPolicyBinding", false, false, false, false},
	{admissionregistrationv1.SchemeGroupVersion, "validatingwebhookconfigurations", "validatingwebhookconfiguration", "ValidatingWebhookConfiguration", false, false, false, false},
	{admissionregistrationv1.SchemeGroupVersion, "mutatingwebhookconfigurations", "mutatingwebhookconfiguration", "MutatingWebhookConfiguration", false, false, false, false},
	{flowcontrolv1.SchemeGroupVersion, "flowschemas", "flowschema", "FlowSchema", false, true, false, false},
	{flowcontrolv1.SchemeGroupVersion, "prioritylevelconfigurations", "prioritylevelconfiguration", "PriorityLevelConfiguration", false, true, false, false},
	{policyv1.SchemeGroupVersion, "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", true, true, false, true},
	{networkingv1.SchemeGroupVersion, "networkpolicies", "networkpolicy", "NetworkPolicy", true, false, false, true},
	{discoveryv1.SchemeGroupVersion, "endpointslices", "endpointslice", "EndpointSlice", true, false, false, true},
}

// install makes the server serve all built-in resources.
func install(server *genericapiserver.GenericAPIServer, config *genericapiserver.Config) {
	storages := map[schema.GroupVersion]map[string]rest.Storage{}
	put := func(gv schema.GroupVersion, name string, storage rest.Storage) {
		if storages[gv] == nil {
			storages[gv] = map[string]rest.Storage{}
		}
		storages[gv][name] = storage
	}
	for _, its := range resources {
		storage, status, err := newStorage(its, config.RESTOptionsGetter)
		must(err)
		put(its.gv, its.plural, storage)
		if status != nil {
			put(its.gv, its.plural+"/status", status)
		}
		switch its.plural {
		case "serviceaccounts":
			put(its.gv, "serviceaccounts/token", tokenREST{storage.Store})
		case "events":
			put(eventsv1.SchemeGroupVersion, "events", storage)
		}
	}
	put(authorizationv1.SchemeGroupVersion, "subjectaccessreviews", reviewREST{config.Authorization.Authorizer})
	for _, group := range groups {
		its := storages[group.gv]
		if its == nil {
			continue
		}
		info := genericapiserver.NewDefaultAPIGroupInfo(group.gv.Group, Scheme, ParameterCodec, Codecs)
		info.VersionedResourcesStorageMap[group.gv.Version] = its
		if group.gv.Group == "" {
			must(server.InstallLegacyAPIGroup("/api", &info))
		} else {
			must(server.InstallAPIGroup(&info))
		}
	}
}

// createDefaults creates the objects that kube-apiserver creates when it starts; `default` comes last, so that who waits for
// it finds the others.
func createDefaults(ctx context.Context, client kubernetes.Interface, fairness bool) error {
	for _, name := range []string{"kube-system", "kube-public", "kube-node-lease"} {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	if fairness {
		for _, level := range append(bootstrap.MandatoryPriorityLevelConfigurations, bootstrap.SuggestedPriorityLevelConfigurations...) {
			if _, err := client.FlowcontrolV1().PriorityLevelConfigurations().Create(ctx, level.DeepCopy(), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
		for _, flow := range append(bootstrap.MandatoryFlowSchemas, bootstrap.SuggestedFlowSchemas...) {
			if _, err := client.FlowcontrolV1().FlowSchemas().Create(ctx, flow.DeepCopy(), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				return err
			}
		}
	}
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}
