package main

import (
	"context"
	"net/http"
	"strings"
)

// into leads every request into one cluster.
func into(cluster string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return led{next, func(context.Context) string { return cluster }}
	}
}

type clusterKey struct{}

// chosen leads a request into the cluster that its context names, and nowhere else when it names none.
func chosen(next http.RoundTripper) http.RoundTripper {
	return led{next, func(ctx context.Context) string {
		cluster, _ := ctx.Value(clusterKey{}).(string)
		return cluster
	}}
}

type led struct {
	next    http.RoundTripper
	cluster func(context.Context) string
}

func (l led) RoundTrip(request *http.Request) (*http.Response, error) {
	if cluster := l.cluster(request.Context()); cluster != "" {
		request = request.Clone(request.Context())
		prefix := "/apis/" + ours.String() + "/clustergateways/" + cluster + "/proxy/"
		request.URL.Path = prefix + strings.TrimPrefix(request.URL.Path, "/")
	}
	return l.next.RoundTrip(request)
}
