package main

import (
	"context"
	"fmt"
	"net/http"
	"sort"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var ours = schema.GroupVersion{Group: "cluster.core.oam.dev", Version: "v1alpha1"}

var kinds = map[string]schema.GroupVersionKind{
	"clustergateways": ours.WithKind("ClusterGateway"),
	"virtualclusters": ours.WithKind("VirtualCluster"),
	"configmaps":      {Version: "v1", Kind: "ConfigMap"},
}

// handler reports what an informer tells.
func handler(resource string) cache.ResourceEventHandler {
	tell := func(event string, object any, initial bool) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		accessor, err := meta.Accessor(object)
		if err != nil {
			panic(err)
		}
		report(line{
			Event: event, Resource: resource, Name: accessor.GetName(), Initial: initial,
			ResourceVersion: accessor.GetResourceVersion(), Labels: accessor.GetLabels(),
		})
	}
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(object any, initial bool) { tell("ADDED", object, initial) },
		UpdateFunc: func(_, object any) { tell("MODIFIED", object, false) },
		DeleteFunc: func(object any) { tell("DELETED", object, false) },
	}
}

func wrap(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return reporting{next} })
}

// runInformers watches with client-go's shared informers until it is told to stop.
func runInformers(ctx context.Context, config *rest.Config, options options) error {
	wrap(config)
	if options.cluster != "" {
		config.Wrap(into(options.cluster))
	}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, resource := range options.resources {
		kind, known := kinds[resource]
		if !known {
			return fmt.Errorf("what is %q?", resource)
		}
		select_ := func(list *metav1.ListOptions) { list.LabelSelector = options.selector }
		informer := dynamicinformer.NewFilteredDynamicInformer(
			dynamicClient, kind.GroupVersion().WithResource(resource), metav1.NamespaceAll, 0, cache.Indexers{}, select_,
		).Informer()
		if _, err := informer.AddEventHandler(handler(resource)); err != nil {
			return err
		}
		go informer.RunWithContext(ctx)
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return fmt.Errorf("%s: never synced", resource)
		}
		report(line{Event: "SYNCED", Resource: resource, Names: sorted(informer.GetStore().ListKeys())})
	}
	<-ctx.Done()
	return nil
}

// runCache watches with controller-runtime's cache of whole objects until it is told to stop.
func runCache(ctx context.Context, config *rest.Config, options options) error {
	return cached(ctx, config, options, func(kind schema.GroupVersionKind) (client.Object, client.ObjectList) {
		object, list := &unstructured.Unstructured{}, &unstructured.UnstructuredList{}
		object.SetGroupVersionKind(kind)
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		return object, list
	})
}

// runMetadataCache does the same with nothing but the objects' metadata.
func runMetadataCache(ctx context.Context, config *rest.Config, options options) error {
	return cached(ctx, config, options, func(kind schema.GroupVersionKind) (client.Object, client.ObjectList) {
		object, list := &metav1.PartialObjectMetadata{}, &metav1.PartialObjectMetadataList{}
		object.SetGroupVersionKind(kind)
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		return object, list
	})
}

func cached(
	ctx context.Context, config *rest.Config, options options,
	objectOf func(schema.GroupVersionKind) (client.Object, client.ObjectList),
) error {
	wrap(config)
	selector, err := labels.Parse(options.selector)
	if err != nil {
		return err
	}
	objects, err := ctrlcache.New(config, ctrlcache.Options{DefaultLabelSelector: selector})
	if err != nil {
		return err
	}
	lists := []client.ObjectList{}
	for _, resource := range options.resources {
		object, list := objectOf(kinds[resource])
		lists = append(lists, list)
		if err := handle(ctx, objects, object, handler(resource)); err != nil {
			return err
		}
	}
	ended := startCache(ctx, objects)
	for index, list := range lists {
		if err := objects.List(ctx, list); err != nil {
			return err
		}
		names := []string{}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			accessor, err := meta.Accessor(item)
			names = append(names, accessor.GetName())
			return err
		}); err != nil {
			return err
		}
		report(line{Event: "SYNCED", Resource: options.resources[index], Names: sorted(names)})
	}
	return <-ended
}

// handle adds an informer to a cache that has not been started.
func handle(
	ctx context.Context, objects ctrlcache.Cache, object client.Object, handler cache.ResourceEventHandler,
) error {
	informer, err := objects.GetInformer(ctx, object, ctrlcache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	_, err = informer.AddEventHandler(handler)
	return err
}

// startCache returns when there is something to read in it; what ends it comes later.
func startCache(ctx context.Context, objects ctrlcache.Cache) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- objects.Start(ctx) }()
	objects.WaitForCacheSync(ctx)
	return ended
}

func sorted(names []string) []string {
	sort.Strings(names)
	return names
}
