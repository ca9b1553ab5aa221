package main

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type check struct {
	what string
	do   func(context.Context, clients) error
}

// What the end-to-end tests of oam-dev/cluster-gateway, its examples and KubeVela's multi-cluster client rely on.
var checks = []check{
	{"the hub's discovery names ClusterGateway", discovers},
	{"a typed client gets and lists clusters", reads},
	{"health is read and updated", health},
	{"the health of the cluster's API server is read by its path", probesByPath},
	{"the context of a request names its cluster", probesByContext},
	{"objects are created, changed and deleted in the cluster", writes},
	{"client-go's informers work in the cluster", informs},
	{"controller-runtime's cache works in the cluster", caches},
	{"the gateway's own discovery suffices for a client that knows nothing else", discoversDirectly},
	{"a client may go to the gateway itself", writesDirectly},
}

type clients struct {
	hub     *rest.Config
	direct  *rest.Config
	cluster string
	scheme  *runtime.Scheme
}

func (c clients) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, clusterKey{}, c.cluster)
}

// runConformance checks everything in turn.
func runConformance(ctx context.Context, config *rest.Config, options options) error {
	direct, err := load(options.direct)
	if err != nil {
		return err
	}
	types := runtime.NewScheme()
	if err := scheme.AddToScheme(types); err != nil {
		return err
	}
	types.AddKnownTypes(ours, &ClusterGateway{}, &ClusterGatewayList{}, &VirtualCluster{}, &VirtualClusterList{})
	metav1.AddToGroupVersion(types, ours)
	all := clients{hub: config, direct: direct, cluster: options.cluster, scheme: types}
	for _, check := range checks {
		if err := check.do(ctx, all); err != nil {
			return fmt.Errorf("not so: %s: %w", check.what, err)
		}
		report(line{Event: "CHECKED", Name: check.what})
	}
	return nil
}

func discovers(_ context.Context, c clients) error {
	clientset, err := kubernetes.NewForConfig(c.hub)
	if err != nil {
		return err
	}
	resources, err := clientset.Discovery().ServerResourcesForGroupVersion(ours.String())
	if err != nil {
		return err
	}
	for _, resource := range resources.APIResources {
		if resource.Kind == "ClusterGateway" && resource.Name == "clustergateways" {
			return nil
		}
	}
	return fmt.Errorf("it is none of %v", resources.APIResources)
}

func reads(ctx context.Context, c clients) error {
	typed, err := client.New(c.hub, client.Options{Scheme: c.scheme})
	if err != nil {
		return err
	}
	one, all, virtual := &ClusterGateway{}, &ClusterGatewayList{}, &VirtualClusterList{}
	err = errors.Join(
		typed.Get(ctx, client.ObjectKey{Name: c.cluster}, one), typed.List(ctx, all), typed.List(ctx, virtual),
	)
	if err != nil {
		return err
	}
	if one.Name != c.cluster || one.Spec.Access.Endpoint.Type != "Const" || one.Spec.Access.Credential.Type == "" {
		return fmt.Errorf("not that cluster: %+v", one)
	}
	names := map[string]bool{}
	for _, cluster := range all.Items {
		names["gateway "+cluster.Name] = true
	}
	for _, cluster := range virtual.Items {
		names["virtual "+cluster.Name] = cluster.Spec.Accepted
	}
	if !names["gateway "+c.cluster] || !names["virtual "+c.cluster] || !names["virtual local"] {
		return fmt.Errorf("not all are there and accepted: %v", names)
	}
	return nil
}

func health(ctx context.Context, c clients) error {
	config := rest.CopyConfig(c.hub)
	config.APIPath, config.GroupVersion = "/apis", &ours
	config.NegotiatedSerializer = serializer.NewCodecFactory(c.scheme).WithoutConversion()
	plain, err := rest.RESTClientFor(config)
	if err != nil {
		return err
	}
	resource, read, updated := "clustergateways", &ClusterGateway{}, &ClusterGateway{}
	err = plain.Get().Resource(resource).Name(c.cluster).SubResource("health").Do(ctx).Into(read)
	if err != nil {
		return err
	}
	if read.Status.Healthy {
		return errors.New("nobody said that it is healthy")
	}
	read.Status.Healthy, read.Status.HealthyReason = true, "ConnectionTimeout"
	err = plain.Put().Resource(resource).Name(c.cluster).SubResource("health").Body(read).Do(ctx).Into(updated)
	if err != nil {
		return err
	}
	if !updated.Status.Healthy || updated.Status.HealthyReason != "ConnectionTimeout" {
		return fmt.Errorf("not what was said: %+v", updated.Status)
	}
	return nil
}

func probesByPath(ctx context.Context, c clients) error {
	clientset, err := kubernetes.NewForConfig(c.hub)
	if err != nil {
		return err
	}
	segments := []string{"apis", ours.Group, ours.Version, "clustergateways", c.cluster, "proxy", "healthz"}
	return isOK(clientset.Discovery().RESTClient().Get().AbsPath(segments...).DoRaw(ctx))
}

func probesByContext(ctx context.Context, c clients) error {
	config := rest.CopyConfig(c.hub)
	config.WrapTransport = chosen
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return isOK(clientset.RESTClient().Get().AbsPath("healthz").DoRaw(c.in(ctx)))
}

func isOK(body []byte, err error) error {
	if err != nil {
		return err
	}
	if string(body) != "ok" {
		return fmt.Errorf("%q", body)
	}
	return nil
}

func writes(ctx context.Context, c clients) error {
	config := rest.CopyConfig(c.hub)
	config.WrapTransport = chosen
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx = c.in(ctx)
	if _, err := clientset.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{}); err != nil {
		return err
	}
	if _, err := clientset.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 100}); err != nil {
		return err
	}
	maps := clientset.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	for range 20 {
		created, err := maps.Create(ctx, configMap("conformance"), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		created.Data["version"] = "2"
		if _, err := maps.Update(ctx, created, metav1.UpdateOptions{}); err != nil {
			return err
		}
		if err := maps.Delete(ctx, created.Name, metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		Data:       map[string]string{"version": "1"},
	}
}

func informs(ctx context.Context, c clients) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config := rest.CopyConfig(c.hub)
	config.Wrap(into(c.cluster))
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(clientset, 0)
	added := make(chan string, 1024)
	informer := factory.Core().V1().ConfigMaps().Informer()
	if _, err := informer.AddEventHandler(tellNames(added)); err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("never synced")
	}
	return seesNew(ctx, clientset, "informed", added)
}

func caches(ctx context.Context, c clients) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	config := rest.CopyConfig(c.hub)
	config.Wrap(into(c.cluster))
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, err := ctrlcache.New(config, ctrlcache.Options{Scheme: c.scheme})
	if err != nil {
		return err
	}
	added := make(chan string, 1024)
	if err := handle(ctx, objects, &corev1.ConfigMap{}, tellNames(added)); err != nil {
		return err
	}
	startCache(ctx, objects)
	return seesNew(ctx, clientset, "cached", added)
}

func tellNames(names chan<- string) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		if object, ok := object.(metav1.Object); ok {
			names <- object.GetName()
		}
	}}
}

// seesNew makes an object in the cluster and waits until its name is told.
func seesNew(ctx context.Context, clientset kubernetes.Interface, name string, told <-chan string) error {
	maps := clientset.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	if _, err := maps.Create(ctx, configMap(name), metav1.CreateOptions{}); err != nil {
		return err
	}
	for {
		select {
		case seen := <-told:
			if seen == name {
				return maps.Delete(ctx, name, metav1.DeleteOptions{})
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func discoversDirectly(_ context.Context, c clients) error {
	for _, aggregated := range []bool{true, false} {
		found, err := discovery.NewDiscoveryClientForConfig(c.direct)
		if err != nil {
			return err
		}
		found.UseLegacyDiscovery = !aggregated
		_, resources, err := found.ServerGroupsAndResources()
		if err != nil {
			return err
		}
		if len(resources) != 1 || resources[0].GroupVersion != ours.String() {
			return fmt.Errorf("one group was expected: %v", resources)
		}
	}
	return nil
}

func writesDirectly(ctx context.Context, c clients) error {
	base, err := client.New(c.hub, client.Options{Scheme: c.scheme})
	if err != nil {
		return err
	}
	config := rest.CopyConfig(c.direct)
	config.Wrap(chosen)
	// What kinds there are is the hub's affair.
	gateway, err := client.New(config, client.Options{Scheme: c.scheme, Mapper: base.RESTMapper()})
	if err != nil {
		return err
	}
	ctx = c.in(ctx)
	object := configMap("direct")
	if err := gateway.Create(ctx, object); err != nil {
		return err
	}
	changed := object.DeepCopy()
	changed.Data["version"] = "2"
	if err := gateway.Patch(ctx, changed, client.MergeFrom(object)); err != nil {
		return err
	}
	if changed.Data["version"] != "2" || changed.ResourceVersion == object.ResourceVersion {
		return fmt.Errorf("not changed: %v", changed)
	}
	return gateway.Delete(ctx, changed)
}
