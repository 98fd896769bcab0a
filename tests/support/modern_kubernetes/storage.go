package main

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// resource describes a built-in resource; status: it has the subresource.
type resource struct {
	gv                            schema.GroupVersion
	plural                        string
	singular                      string
	kind                          string
	namespaced                    bool
	status                        bool
	createOnUpdate, unconditional bool
}

// strategy says what happens to an object on its way to the storage; it validates nothing.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	resource
	forStatus bool
}

func (s strategy) NamespaceScoped() bool          { return s.namespaced }
func (s strategy) AllowCreateOnUpdate() bool      { return s.createOnUpdate }
func (s strategy) AllowUnconditionalUpdate() bool { return s.unconditional }
func (strategy) Canonicalize(runtime.Object)      {}
func (strategy) Validate(context.Context, runtime.Object) field.ErrorList {
	return nil
}
func (strategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}
func (strategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }
func (strategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// part gives a field of an object, such as Spec; it is not valid where the kind has none.
func part(object runtime.Object, name string) reflect.Value {
	return reflect.ValueOf(object).Elem().FieldByName(name)
}

func (s strategy) PrepareForCreate(_ context.Context, object runtime.Object) {
	if s.status {
		part(object, "Status").SetZero()
	}
	if part(object, "Spec").IsValid() {
		object.(metav1.Object).SetGeneration(1)
	}
	switch it := object.(type) {
	case *corev1.Pod:
		it.Status.Phase = corev1.PodPending
		it.Status.QOSClass = corev1.PodQOSBestEffort
		if it.Spec.TerminationGracePeriodSeconds == nil {
			seconds := int64(30)
			it.Spec.TerminationGracePeriodSeconds = &seconds
		}
		if it.Spec.RestartPolicy == "" {
			it.Spec.RestartPolicy = corev1.RestartPolicyAlways
		}
	case *corev1.Namespace:
		it.Status.Phase = corev1.NamespaceActive
		if it.Labels == nil {
			it.Labels = map[string]string{}
		}
		it.Labels["kubernetes.io/metadata.name"] = it.Name
	}
}

func (s strategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	if s.forStatus {
		if spec := part(object, "Spec"); spec.IsValid() {
			spec.Set(part(old, "Spec"))
		}
		return
	}
	if s.status {
		part(object, "Status").Set(part(old, "Status"))
	}
	if spec := part(object, "Spec"); spec.IsValid() {
		generation := old.(metav1.Object).GetGeneration()
		if !reflect.DeepEqual(spec.Interface(), part(old, "Spec").Interface()) {
			generation++
		}
		object.(metav1.Object).SetGeneration(generation)
	}
}

// CheckGracefulDelete lets a pod on a node wait for its kubelet, as pkg/registry/core/pod does.
func (s strategy) CheckGracefulDelete(_ context.Context, object runtime.Object, options *metav1.DeleteOptions) bool {
	pod, ok := object.(*corev1.Pod)
	if !ok || options == nil {
		return false
	}
	period := int64(30)
	if options.GracePeriodSeconds != nil {
		period = *options.GracePeriodSeconds
	} else if pod.Spec.TerminationGracePeriodSeconds != nil {
		period = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		period = 0
	}
	options.GracePeriodSeconds = &period
	return true
}

func (s strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if !s.status {
		return nil
	}
	path := "status"
	if s.forStatus {
		path = "spec"
	}
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(s.gv.String()): fieldpath.NewSet(fieldpath.MakePathOrDie(path)),
	}
}

// attributes gives what selectors of labels and fields look at.
func attributes(object runtime.Object) (labels.Set, fields.Set, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, nil, err
	}
	set := fields.Set{"metadata.name": accessor.GetName()}
	if accessor.GetNamespace() != "" {
		set["metadata.namespace"] = accessor.GetNamespace()
	}
	switch it := object.(type) {
	case *corev1.Pod:
		set["spec.nodeName"] = it.Spec.NodeName
		set["status.phase"] = string(it.Status.Phase)
	case *corev1.Event:
		set["involvedObject.kind"] = it.InvolvedObject.Kind
		set["involvedObject.namespace"] = it.InvolvedObject.Namespace
		set["involvedObject.name"] = it.InvolvedObject.Name
		set["involvedObject.uid"] = string(it.InvolvedObject.UID)
		set["reason"] = it.Reason
		set["type"] = it.Type
	}
	return accessor.GetLabels(), set, nil
}

// REST serves a resource.
type REST struct{ *genericregistry.Store }

func (r *REST) ShortNames() []string { return nil }

// statusREST serves a resource's subresource status.
type statusREST struct{ store *genericregistry.Store }

func (r *statusREST) New() runtime.Object { return r.store.New() }
func (r *statusREST) Destroy()            {}
func (r *statusREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}
func (r *statusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc, update rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, info, create, update, false, options)
}
func (r *statusREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.UpdateStrategy.(strategy).GetResetFields()
}

// newStorage makes a resource's storage, and that of its status where it has one.
func newStorage(r resource, getter generic.RESTOptionsGetter) (*REST, *statusREST, error) {
	internal := schema.GroupVersion{Group: r.gv.Group, Version: runtime.APIVersionInternal}
	create := func(kind string) func() runtime.Object {
		return func() runtime.Object {
			object, err := Scheme.New(internal.WithKind(kind))
			if err != nil {
				panic(fmt.Sprint(internal, kind, err))
			}
			return object
		}
	}
	rules := strategy{Scheme, names.SimpleNameGenerator, r, false}
	group := schema.GroupResource{Group: r.gv.Group, Resource: r.plural}
	store := &genericregistry.Store{
		NewFunc:     create(r.kind),
		NewListFunc: create(r.kind + "List"),
		PredicateFunc: func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
		},
		DefaultQualifiedResource:  group,
		SingularQualifiedResource: schema.GroupResource{Group: r.gv.Group, Resource: r.singular},
		CreateStrategy:            rules,
		UpdateStrategy:            rules,
		DeleteStrategy:            rules,
		ResetFieldsStrategy:       rules,
		TableConvertor:            rest.NewDefaultTableConvertor(group),
	}
	if r.plural == "events" {
		store.TableConvertor = eventTable{}
		store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return 3600, nil }
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: attributes}); err != nil {
		return nil, nil, err
	}
	var status *statusREST
	if r.status {
		copied := *store
		rules.forStatus = true
		copied.UpdateStrategy = rules
		copied.ResetFieldsStrategy = rules
		status = &statusREST{&copied}
	}
	return &REST{store}, status, nil
}

// eventTable gives Events the columns that kubectl shows.
type eventTable struct{}

func (eventTable) ConvertToTable(_ context.Context, object runtime.Object, _ runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	for _, name := range []string{"Last Seen", "Type", "Reason", "Object", "Message"} {
		table.ColumnDefinitions = append(table.ColumnDefinitions, metav1.TableColumnDefinition{Name: name, Type: "string"})
	}
	add := func(it *corev1.Event) {
		table.Rows = append(table.Rows, metav1.TableRow{Object: runtime.RawExtension{Object: it}, Cells: []any{
			it.LastTimestamp.String(), it.Type, it.Reason, it.InvolvedObject.Kind + "/" + it.InvolvedObject.Name, it.Message}})
	}
	switch it := object.(type) {
	case *corev1.Event:
		table.ResourceVersion = it.ResourceVersion
		add(it)
	case *corev1.EventList:
		table.ResourceVersion, table.Continue = it.ResourceVersion, it.Continue
		for i := range it.Items {
			add(&it.Items[i])
		}
	}
	return table, nil
}
