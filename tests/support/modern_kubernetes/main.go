// A Kubernetes API server for tests, made of Kubernetes' own libraries: what kube-apiserver is made of, except for what
// only the module k8s.io/kubernetes holds. It takes kube-apiserver's flags and ignores those that it does not know.
//
// Real: request handling, watch cache, storage in etcd, bookmarks, server-side apply, custom resources with CEL, pruning
// and ratcheting, API Priority and Fairness, ValidatingAdmissionPolicy, namespace lifecycle, OpenAPI, discovery.
// Stand-ins of this program: the evaluation of RBAC, the tokens of service accounts, the conversion between the two
// groups of Events, the merge of the OpenAPI indexes. Absent: defaulting and validation of the built-in kinds,
// PodSecurity, the aggregation of other API servers.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	crdoptions "k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	authunion "k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapifilters "k8s.io/apiserver/pkg/endpoints/filters"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	apicompatibility "k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"

	generated "ovnqos.test/modernkubernetes/openapi"
)

// settings are the flags that this program knows.
type settings struct {
	etcd, address, certificate, key, tokens string
	port, inflight, mutating, minTimeout    int
	fairness                                bool
	goaway                                  float64
}

func parseFlags(arguments []string) settings {
	var s settings
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ExitOnError)
	flags.ParseErrorsWhitelist.UnknownFlags = true
	flags.StringVar(&s.etcd, "etcd-servers", "http://127.0.0.1:2379", "URLs of etcd, comma-separated")
	flags.StringVar(&s.address, "bind-address", "127.0.0.1", "IP address to listen on")
	flags.IntVar(&s.port, "secure-port", 6443, "port to listen on")
	flags.StringVar(&s.certificate, "tls-cert-file", "", "certificate (PEM)")
	flags.StringVar(&s.key, "tls-private-key-file", "", "private key (PEM)")
	flags.StringVar(&s.tokens, "token-auth-file", "", "CSV file of tokens, users and groups")
	flags.IntVar(&s.inflight, "max-requests-inflight", 400, "limit of concurrent reading requests")
	flags.IntVar(&s.mutating, "max-mutating-requests-inflight", 200, "limit of concurrent writing requests")
	flags.BoolVar(&s.fairness, "enable-priority-and-fairness", true, "serve and use flowcontrol.apiserver.k8s.io")
	flags.IntVar(&s.minTimeout, "min-request-timeout", 1800, "least seconds after which a watch ends")
	flags.Float64Var(&s.goaway, "goaway-chance", 0, "chance that a request ends its connection")
	apicompatibility.DefaultComponentGlobalsRegistry.AddFlags(flags) // --emulated-version
	must(flags.Parse(arguments))
	must(apicompatibility.DefaultComponentGlobalsRegistry.Set())
	return s
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube-apiserver:", err)
		os.Exit(1)
	}
}

func main() {
	s := parseFlags(os.Args[1:])
	config, etcd := configure(s)

	client, err := kubernetes.NewForConfig(config.LoopbackClientConfig)
	must(err)
	dynamicClient, err := dynamic.NewForConfig(config.LoopbackClientConfig)
	must(err)
	shared := informers.NewSharedInformerFactory(client, 10*time.Minute)
	secure(config, s, shared)
	features := options.NewFeatureOptions()
	features.EnablePriorityAndFairness = s.fairness
	must(features.ApplyTo(config, client, shared))
	must(options.NewAdmissionOptions().ApplyTo(config, shared, client, dynamicClient, utilfeature.DefaultFeatureGate, config.EffectiveVersion))

	crds := newCustomResourceServer(config, etcd, shared)
	chain := config.BuildHandlerChainFunc
	config.BuildHandlerChainFunc = func(handler http.Handler, c *genericapiserver.Config) http.Handler {
		return chain(withOpenAPIOf(handler, crds.GenericAPIServer), c)
	}
	server, err := config.Complete(shared).New("modernkubernetes", crds.GenericAPIServer)
	must(err)
	install(server, config)
	must(server.AddPostStartHook("defaults", func(hook genericapiserver.PostStartHookContext) error {
		return createDefaults(hook, client, s.fairness)
	}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	must(server.PrepareRun().RunWithContext(ctx))
}

// configure makes the configuration of the generic API server: serving, storage, OpenAPI and discovery.
func configure(s settings) (*genericapiserver.Config, *options.EtcdOptions) {
	run := options.NewServerRunOptions()
	run.MaxRequestsInFlight, run.MaxMutatingRequestsInFlight, run.MinRequestTimeout = s.inflight, s.mutating, s.minTimeout
	run.GoawayChance = s.goaway
	run.AdvertiseAddress = net.ParseIP(s.address)
	must(run.Complete())
	config := genericapiserver.NewConfig(Codecs)
	must(run.ApplyTo(config))
	config.GoawayChance = s.goaway
	config.AggregatedDiscoveryGroupManager = aggregated.NewResourceManager("apis")

	serving := options.NewSecureServingOptions()
	serving.BindAddress, serving.BindPort = net.ParseIP(s.address), s.port
	serving.ServerCert.CertKey.CertFile, serving.ServerCert.CertKey.KeyFile = s.certificate, s.key
	must(serving.WithLoopback().ApplyTo(&config.SecureServing, &config.LoopbackClientConfig))

	etcd := options.NewEtcdOptions(storagebackend.NewDefaultConfig("/registry", nil))
	etcd.StorageConfig.Transport.ServerList = strings.Split(s.etcd, ",")
	enabled := serverstorage.NewResourceConfig()
	for _, group := range groups {
		enabled.EnableVersions(group.gv)
	}
	config.MergedResourceConfig = enabled
	etcd.StorageConfig.StorageObjectCountTracker = config.StorageObjectCountTracker
	factory := serverstorage.NewDefaultStorageFactory(etcd.StorageConfig, etcd.DefaultStorageMediaType, Codecs,
		serverstorage.NewDefaultResourceEncodingConfig(Scheme), enabled, nil)
	must(etcd.ApplyWithStorageFactoryTo(factory, config))

	definitions := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generated.GetOpenAPIDefinitions)
	namer := openapinamer.NewDefinitionNamer(Scheme, crdserver.Scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	config.OpenAPIConfig.Info.Title = "Kubernetes"
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	return config, etcd
}

// secure sets who a request is by its bearer token, and what it may do by RBAC.
func secure(config *genericapiserver.Config, s settings, shared informers.SharedInformerFactory) {
	file, err := tokenfile.NewCSV(s.tokens)
	must(err)
	config.Authentication.Authenticator = authunion.NewFailOnError(
		group.NewAuthenticatedGroupAdder(bearertoken.New(tokenunion.New(file, authenticator.TokenFunc(accountToken)))),
		anonymous.NewAuthenticator(nil),
	)
	rules := shared.Rbac().V1()
	config.Authorization.Authorizer = &rbac{
		rules.Roles().Lister(), rules.RoleBindings().Lister(), rules.ClusterRoles().Lister(), rules.ClusterRoleBindings().Lister(),
	}
}

// newCustomResourceServer makes the server of custom resources as cmd/kube-apiserver/app makes it; it answers what the
// generic API server does not.
func newCustomResourceServer(config *genericapiserver.Config, etcd *options.EtcdOptions, shared informers.SharedInformerFactory) *crdserver.CustomResourceDefinitions {
	own := *config
	own.PostStartHooks = map[string]genericapiserver.PostStartHookConfigEntry{}
	own.RESTOptionsGetter = nil
	ownEtcd := *etcd
	ownEtcd.StorageConfig.Codec = crdserver.Codecs.LegacyCodec(apiextensionsv1beta1.SchemeGroupVersion, apiextensionsv1.SchemeGroupVersion)
	ownEtcd.StorageConfig.EncodeVersioner = runtime.NewMultiGroupVersioner(apiextensionsv1beta1.SchemeGroupVersion, schema.GroupKind{Group: apiextensionsv1beta1.GroupName})
	ownEtcd.SkipHealthEndpoints = true
	must(ownEtcd.ApplyTo(&own))
	own.MergedResourceConfig = crdserver.DefaultAPIResourceConfigSource()
	complete := (&crdserver.Config{
		GenericConfig: &genericapiserver.RecommendedConfig{Config: own, SharedInformerFactory: shared},
		ExtraConfig: crdserver.ExtraConfig{
			CRDRESTOptionsGetter: crdoptions.NewCRDRESTOptionsGetter(*etcd, own.ResourceTransformers, own.StorageObjectCountTracker),
			MasterCount:          1,
			AuthResolverWrapper:  webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, config.LoopbackClientConfig, noopoteltrace.NewTracerProvider()),
			ServiceResolver:      &clusterAddresses{shared.Core().V1().Services().Lister()},
		},
	}).Complete()
	notFound := notfoundhandler.New(config.Serializer, genericapifilters.NoMuxAndDiscoveryIncompleteKey)
	crds, err := complete.New(genericapiserver.NewEmptyDelegateWithCustomHandler(notFound))
	must(err)
	return crds
}

// clusterAddresses finds a webhook's Service by its cluster IP.
type clusterAddresses struct{ services corelisters.ServiceLister }

func (c *clusterAddresses) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return proxy.ResolveCluster(c.services, namespace, name, port)
}
