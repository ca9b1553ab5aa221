package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The requests of `vela cluster …` and of KubeVela's multi-cluster client, in the order and form that their public source
// shows. This is no part of KubeVela and shares no code with it: it shows that the server answers such requests, not that
// any version of KubeVela works.
//
// Where KubeVela would not work with what the server answered, the command fails; where it would tell its user something,
// that is reported.

const (
	credentialLabel   = "cluster.core.oam.dev/cluster-credential-type"
	endpointLabel     = "cluster.core.oam.dev/cluster-endpoint-type"
	aliasAnnotation   = "cluster.core.oam.dev/cluster-alias"
	versionAnnotation = "cluster.core.oam.dev/cluster-version"
	local             = "local"
	memberNamespace   = "vela-system"
)

type kubevela struct {
	client    client.Client
	clientset kubernetes.Interface
	// Where the Secrets of clusters are: the namespace of the Service that serves the API group.
	namespace string
	options   options
}

var kubevelaVerbs = map[string]func(kubevela, context.Context) error{
	"join":   kubevela.join,
	"list":   kubevela.list,
	"detach": kubevela.detach,
	"rename": kubevela.rename,
	"alias":  kubevela.alias,
	"label":  kubevela.label,
	"probe":  kubevela.probe,
	"judge":  kubevela.judge,
}

func runKubevela(ctx context.Context, config *rest.Config, options options) error {
	verb := kubevelaVerbs[options.verb]
	if verb == nil {
		return fmt.Errorf("--verb: %q is none", options.verb)
	}
	wrapped := rest.CopyConfig(config)
	wrapped.Wrap(chosen)
	all, err := client.New(wrapped, client.Options{})
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfig(wrapped)
	if err != nil {
		return err
	}
	namespace, err := namespaceOfSecrets(ctx, all)
	if err != nil {
		return err
	}
	return verb(kubevela{all, clientset, namespace, options}, ctx)
}

// Every command begins with it: without an available APIService with a Service, KubeVela does nothing.
func namespaceOfSecrets(ctx context.Context, hub client.Client) (string, error) {
	service := &unstructured.Unstructured{}
	service.SetGroupVersionKind(schema.GroupVersionKind{
		Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService",
	})
	if err := hub.Get(ctx, client.ObjectKey{Name: ours.Version + "." + ours.Group}, service); err != nil {
		return "", err
	}
	namespace, _, err := unstructured.NestedString(service.Object, "spec", "service", "namespace")
	if err != nil || namespace == "" {
		return "", fmt.Errorf("the APIService names no Service (%v)", err)
	}
	conditions, _, err := unstructured.NestedSlice(service.Object, "status", "conditions")
	for _, condition := range conditions {
		condition, _ := condition.(map[string]any)
		if condition["type"] == "Available" && condition["status"] == "True" {
			return namespace, nil
		}
	}
	return "", fmt.Errorf("the APIService is not available: %v (%v)", conditions, err)
}

func (k kubevela) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, clusterKey{}, k.options.cluster)
}

func (k kubevela) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: k.namespace, Name: name}
}

// A cluster is a Secret with the label, or else a ManagedCluster with an address.
func (k kubevela) get(ctx context.Context, name string) (client.Object, error) {
	secret := &corev1.Secret{}
	err := k.client.Get(ctx, k.key(name), secret)
	if err == nil && secret.Labels[credentialLabel] != "" {
		return secret, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	managed := managedCluster()
	if err := k.client.Get(ctx, client.ObjectKey{Name: name}, managed); err != nil {
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return nil, nil
		}
		return nil, err
	}
	return managed, nil
}

func managedCluster() *unstructured.Unstructured {
	managed := &unstructured.Unstructured{}
	managed.SetGroupVersionKind(schema.GroupVersionKind{
		Group: "cluster.open-cluster-management.io", Version: "v1", Kind: "ManagedCluster",
	})
	return managed
}

func (k kubevela) join(ctx context.Context) error {
	name := k.options.cluster
	if name == local {
		return errors.New("the name `local` is reserved")
	}
	data, labels, err := credentialOf(k.options.member)
	if err != nil {
		return err
	}
	if there, err := k.get(ctx, name); err != nil || there != nil {
		return fmt.Errorf("the cluster %s already exists (%v)", name, err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: name, Labels: labels},
		Type:       corev1.SecretTypeOpaque, Data: data,
	}
	if err := k.client.Create(ctx, secret); err != nil {
		return err
	}
	if err := k.ensureNamespace(ctx); err != nil {
		return errors.Join(err, k.client.Delete(ctx, secret))
	}
	return k.recordVersion(ctx)
}

var endpointForm = regexp.MustCompile(`^(https?)://([^:\s]+)(?::([0-9]+))?$`)

func credentialOf(kubeconfig string) (map[string][]byte, map[string]string, error) {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	// The tests keep certificates in files; KubeVela takes what is inline.
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return nil, nil, err
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil {
		return nil, nil, errors.New("no current context")
	}
	cluster, user := config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo]
	endpoint := cluster.Server
	if parts := endpointForm.FindStringSubmatch(endpoint); parts != nil && parts[3] == "" {
		endpoint += map[string]string{"http": ":80", "https": ":443"}[parts[1]]
	}
	data := map[string][]byte{"endpoint": []byte(endpoint)}
	if !cluster.InsecureSkipTLSVerify {
		data["ca.crt"] = cluster.CertificateAuthorityData
	}
	if user.Token != "" {
		data["token"] = []byte(user.Token)
		return data, map[string]string{credentialLabel: "ServiceAccountToken"}, nil
	}
	data["tls.crt"], data["tls.key"] = user.ClientCertificateData, user.ClientKeyData
	return data, map[string]string{credentialLabel: "X509Certificate"}, nil
}

// Three attempts, a second apart, and only for as long as the gateway does not know the cluster: so soon it must.
func (k kubevela) ensureNamespace(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := k.namespaceOnce(ctx)
		if err == nil || attempt == 3 || !isClusterNotExists(err) {
			return err
		}
		time.Sleep(time.Second)
	}
}

func (k kubevela) namespaceOnce(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: memberNamespace}}
	err := k.client.Get(k.in(ctx), client.ObjectKeyFromObject(namespace), namespace)
	if !apierrors.IsNotFound(err) {
		return err
	}
	return k.client.Create(k.in(ctx), namespace)
}

// The Secret is read, and written back whole with the member's version in an annotation. Between the two the member is
// asked: whoever writes to the Secret then makes the join fail.
func (k kubevela) recordVersion(ctx context.Context) error {
	object, err := k.get(ctx, k.options.cluster)
	if err != nil || object == nil {
		return fmt.Errorf("the cluster is gone again (%v)", err)
	}
	raw, err := k.clientset.CoreV1().RESTClient().Get().AbsPath("version").DoRaw(k.in(ctx))
	if err != nil {
		return err
	}
	var version struct {
		Major      string `json:"major"`
		Minor      string `json:"minor"`
		GitVersion string `json:"gitVersion,omitempty"`
		Platform   string `json:"platform,omitempty"`
	}
	if err := json.Unmarshal(raw, &version); err != nil || version.Major == "" {
		return fmt.Errorf("no version: %s (%v)", raw, err)
	}
	text, err := json.Marshal(version)
	if err != nil {
		return err
	}
	annotate(object, versionAnnotation, string(text))
	return k.client.Update(ctx, object)
}

func annotate(object client.Object, key, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	object.SetAnnotations(annotations)
}

// change reads the cluster's object, changes it and writes it back whole.
func (k kubevela) change(ctx context.Context, change func(client.Object)) error {
	object, err := k.get(ctx, k.options.cluster)
	if err != nil {
		return err
	}
	if object == nil {
		return fmt.Errorf("no such cluster %s", k.options.cluster)
	}
	change(object)
	return k.client.Update(ctx, object)
}

func (k kubevela) list(ctx context.Context) error {
	secrets := &corev1.SecretList{}
	err := k.client.List(ctx, secrets, client.InNamespace(k.namespace), client.HasLabels{credentialLabel})
	if err != nil {
		return err
	}
	for _, secret := range secrets.Items {
		endpoint := string(secret.Data["endpoint"])
		if kind := secret.Labels[endpointLabel]; kind != "" && kind != "Const" {
			endpoint = kind
		}
		shown := map[string]string{}
		for label, value := range secret.Labels {
			if !strings.HasPrefix(label, ours.Group) {
				shown[label] = value
			}
		}
		report(line{Event: "CLUSTER", Name: secret.Name, Labels: shown, Says: map[string]string{
			"alias": secret.Annotations[aliasAnnotation], "type": secret.Labels[credentialLabel],
			"endpoint": endpoint, "version": secret.Annotations[versionAnnotation],
		}})
	}
	managed := &unstructured.UnstructuredList{}
	managed.SetGroupVersionKind(managedCluster().GroupVersionKind())
	if err := k.client.List(ctx, managed); err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return err
	}
	for _, cluster := range managed.Items {
		configs, _, _ := unstructured.NestedSlice(cluster.Object, "spec", "managedClusterClientConfigs")
		accepted, _, _ := unstructured.NestedBool(cluster.Object, "spec", "hubAcceptsClient")
		if len(configs) > 0 {
			report(line{Event: "CLUSTER", Name: cluster.GetName(), Labels: cluster.GetLabels(), Says: map[string]string{
				"alias": cluster.GetAnnotations()[aliasAnnotation], "type": "OCMManagedCluster",
				"endpoint": "-", "accepted": fmt.Sprint(accepted),
			}})
		}
	}
	return nil
}

// mutable is the Secret of a cluster, refused if it is none.
func (k kubevela) mutable(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := k.client.Get(ctx, k.key(name), secret); err != nil {
		return nil, err
	}
	if secret.Labels[credentialLabel] == "" {
		return nil, fmt.Errorf("the Secret %s is no cluster", name)
	}
	return secret, nil
}

func (k kubevela) detach(ctx context.Context) error {
	if k.options.cluster == local {
		return errors.New("the name `local` is reserved")
	}
	secret, err := k.mutable(ctx, k.options.cluster)
	if err != nil {
		return err
	}
	return k.client.Delete(ctx, secret)
}

func (k kubevela) rename(ctx context.Context) error {
	if k.options.to == local {
		return errors.New("the name `local` is reserved")
	}
	secret, err := k.mutable(ctx, k.options.cluster)
	if err != nil {
		return err
	}
	if there, err := k.get(ctx, k.options.to); err != nil || there != nil {
		return fmt.Errorf("the cluster %s already exists (%v)", k.options.to, err)
	}
	if err := k.client.Delete(ctx, secret); err != nil {
		return err
	}
	secret.ObjectMeta = metav1.ObjectMeta{
		Namespace: k.namespace, Name: k.options.to, Labels: secret.Labels, Annotations: secret.Annotations,
	}
	return k.client.Create(ctx, secret)
}

func (k kubevela) alias(ctx context.Context) error {
	return k.change(ctx, func(object client.Object) { annotate(object, aliasAnnotation, k.options.to) })
}

// label sets KEY=VALUE, or removes KEY.
func (k kubevela) label(ctx context.Context) error {
	key, value, set := strings.Cut(k.options.to, "=")
	return k.change(ctx, func(object client.Object) {
		labels := object.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		if set {
			labels[key] = value
		} else {
			delete(labels, key)
		}
		object.SetLabels(labels)
	})
}

func (k kubevela) probe(ctx context.Context) error {
	return isOK(k.clientset.CoreV1().RESTClient().Get().AbsPath("healthz").DoRaw(k.in(ctx)))
}

// These two decide whether KubeVela gives resources in a cluster up for gone, or waits.
func isClusterNotExists(err error) bool  { return strings.Contains(err.Error(), "no such cluster") }
func isClusterDisconnect(err error) bool { return strings.Contains(err.Error(), "dial tcp") }

// judge asks for an object of the cluster and reports what KubeVela makes of the answer.
func (k kubevela) judge(ctx context.Context) error {
	verdict := "there"
	err := k.client.Get(k.in(ctx), client.ObjectKey{Namespace: "default", Name: "no-such-object"}, &corev1.ConfigMap{})
	switch {
	case err == nil:
	case isClusterNotExists(err):
		verdict = "no such cluster"
	case isClusterDisconnect(err):
		verdict = "disconnected"
	case apierrors.IsNotFound(err):
		verdict = "object not found"
	default:
		verdict = "another error"
	}
	report(line{Event: "JUDGED", Name: k.options.cluster, Says: map[string]string{
		"verdict": verdict, "error": fmt.Sprint(err),
	}})
	return nil
}
