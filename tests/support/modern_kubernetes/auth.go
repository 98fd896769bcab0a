package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	rbaclisters "k8s.io/client-go/listers/rbac/v1"
)

// claims stand for those of a service account's JWT; the token is their JSON and its HMAC.
type claims struct {
	Namespace, Name string
	Expires         int64
}

var tokenKey = []byte("test only")

func sign(text string) string {
	mac := hmac.New(sha256.New, tokenKey)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// accountToken authenticates a service account by its token.
func accountToken(_ context.Context, token string) (*authenticator.Response, bool, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] != "sa" || !hmac.Equal([]byte(sign(parts[1])), []byte(parts[2])) {
		return nil, false, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, false, err
	}
	var its claims
	if err := json.Unmarshal(text, &its); err != nil {
		return nil, false, err
	}
	if time.Now().Unix() >= its.Expires {
		return nil, false, fmt.Errorf("service account token has expired")
	}
	return &authenticator.Response{User: &user.DefaultInfo{
		Name:   "system:serviceaccount:" + its.Namespace + ":" + its.Name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + its.Namespace},
	}}, true, nil
}

// tokenREST serves serviceaccounts/token.
type tokenREST struct{ accounts *genericregistry.Store }

func (tokenREST) New() runtime.Object { return &authenticationv1.TokenRequest{} }
func (tokenREST) Destroy()            {}
func (tokenREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
}
func (r tokenREST) Create(ctx context.Context, name string, object runtime.Object, _ rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if _, err := r.accounts.Get(ctx, name, &metav1.GetOptions{}); err != nil {
		return nil, err
	}
	asked := object.(*authenticationv1.TokenRequest)
	seconds := int64(3600)
	if asked.Spec.ExpirationSeconds != nil {
		seconds = *asked.Spec.ExpirationSeconds
	}
	expires := time.Now().Add(time.Duration(seconds) * time.Second)
	text, _ := json.Marshal(claims{request.NamespaceValue(ctx), name, expires.Unix()})
	encoded := base64.RawURLEncoding.EncodeToString(text)
	asked.Spec.ExpirationSeconds = &seconds
	asked.Status = authenticationv1.TokenRequestStatus{Token: "sa." + encoded + "." + sign(encoded), ExpirationTimestamp: metav1.NewTime(expires)}
	return asked, nil
}

// rbac authorizes by the objects of rbac.authorization.k8s.io.
type rbac struct {
	roles        rbaclisters.RoleLister
	bindings     rbaclisters.RoleBindingLister
	clusterRoles rbaclisters.ClusterRoleLister
	clusterBinds rbaclisters.ClusterRoleBindingLister
}

func has(list []string, wanted ...string) bool {
	for _, one := range list {
		for _, other := range wanted {
			if one == other {
				return true
			}
		}
	}
	return false
}

func pathMatches(patterns []string, path string) bool {
	for _, pattern := range patterns {
		if pattern == path || pattern == "*" || (strings.HasSuffix(pattern, "*") && strings.HasPrefix(path, strings.TrimSuffix(pattern, "*"))) {
			return true
		}
	}
	return false
}

// allows says whether a rule permits a request.
func allows(rule rbacv1.PolicyRule, a authorizer.Attributes) bool {
	if !has(rule.Verbs, "*", a.GetVerb()) {
		return false
	}
	if !a.IsResourceRequest() {
		return pathMatches(rule.NonResourceURLs, a.GetPath())
	}
	name := a.GetResource()
	wanted := []string{"*", name}
	if a.GetSubresource() != "" {
		wanted = []string{"*", name + "/" + a.GetSubresource(), "*/" + a.GetSubresource()}
	}
	return has(rule.APIGroups, "*", a.GetAPIGroup()) && has(rule.Resources, wanted...) &&
		(len(rule.ResourceNames) == 0 || has(rule.ResourceNames, a.GetName()))
}

// isSubject says whether a user is among the subjects of a binding; namespace is the binding's.
func isSubject(subjects []rbacv1.Subject, who user.Info, namespace string) bool {
	for _, subject := range subjects {
		switch subject.Kind {
		case rbacv1.UserKind:
			if subject.Name == who.GetName() {
				return true
			}
		case rbacv1.GroupKind:
			if has(who.GetGroups(), subject.Name) {
				return true
			}
		case rbacv1.ServiceAccountKind:
			its := subject.Namespace
			if its == "" {
				its = namespace
			}
			if "system:serviceaccount:"+its+":"+subject.Name == who.GetName() {
				return true
			}
		}
	}
	return false
}

var publicPaths = []string{"/healthz", "/livez", "/readyz", "/version", "/version/"}
var discoveryPaths = []string{"/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/healthz", "/livez", "/readyz", "/version", "/version/"}

func (r *rbac) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	who := a.GetUser()
	if has(who.GetGroups(), "system:masters") {
		return authorizer.DecisionAllow, "", nil
	}
	if !a.IsResourceRequest() && a.GetVerb() == "get" {
		if pathMatches(publicPaths, a.GetPath()) || (has(who.GetGroups(), "system:authenticated") && pathMatches(discoveryPaths, a.GetPath())) {
			return authorizer.DecisionAllow, "", nil
		}
	}
	if has(who.GetGroups(), "system:authenticated") && a.GetAPIGroup() == "authorization.k8s.io" && has([]string{"selfsubjectaccessreviews", "selfsubjectrulesreviews"}, a.GetResource()) {
		return authorizer.DecisionAllow, "", nil
	}
	check := func(ref rbacv1.RoleRef, namespace string) bool {
		var rules []rbacv1.PolicyRule
		if ref.Kind == "ClusterRole" {
			if role, err := r.clusterRoles.Get(ref.Name); err == nil {
				rules = role.Rules
			}
		} else if role, err := r.roles.Roles(namespace).Get(ref.Name); err == nil {
			rules = role.Rules
		}
		for _, rule := range rules {
			if allows(rule, a) {
				return true
			}
		}
		return false
	}
	all, _ := r.clusterBinds.List(labels.Everything())
	for _, binding := range all {
		if isSubject(binding.Subjects, who, "") && check(binding.RoleRef, "") {
			return authorizer.DecisionAllow, "", nil
		}
	}
	if namespace := a.GetNamespace(); namespace != "" {
		local, _ := r.bindings.RoleBindings(namespace).List(labels.Everything())
		for _, binding := range local {
			if isSubject(binding.Subjects, who, namespace) && check(binding.RoleRef, namespace) {
				return authorizer.DecisionAllow, "", nil
			}
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// reviewREST serves subjectaccessreviews.
type reviewREST struct{ authorizer authorizer.Authorizer }

func (reviewREST) New() runtime.Object     { return &authorizationv1.SubjectAccessReview{} }
func (reviewREST) Destroy()                {}
func (reviewREST) NamespaceScoped() bool   { return false }
func (reviewREST) GetSingularName() string { return "subjectaccessreview" }
func (r reviewREST) Create(ctx context.Context, object runtime.Object, _ rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	review := object.(*authorizationv1.SubjectAccessReview)
	record := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: review.Spec.User, Groups: review.Spec.Groups}}
	if of := review.Spec.ResourceAttributes; of != nil {
		record.ResourceRequest = true
		record.Verb, record.Namespace, record.APIGroup, record.APIVersion = of.Verb, of.Namespace, of.Group, of.Version
		record.Resource, record.Subresource, record.Name = of.Resource, of.Subresource, of.Name
	} else if of := review.Spec.NonResourceAttributes; of != nil {
		record.Verb, record.Path = of.Verb, of.Path
	}
	decision, reason, err := r.authorizer.Authorize(ctx, record)
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: decision == authorizer.DecisionAllow, Reason: reason}
	if err != nil {
		review.Status.EvaluationError = err.Error()
	}
	return review, nil
}
