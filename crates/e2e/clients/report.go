package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path"
	"sync"
)

// line is one thing that happened. Fields that say nothing are left out.
type line struct {
	// ADDED, MODIFIED, DELETED: what an informer told its handler. SYNCED: it has what there was. REQUEST: what was
	// asked. ERROR, BOOKMARK: what came in a watch and informers keep to themselves. CHECKED: something holds. CLUSTER,
	// JUDGED: see kubevela.go.
	Event    string `json:"event"`
	Resource string `json:"resource,omitempty"`
	Name     string `json:"name,omitempty"`
	// Of the object, or from which on is asked.
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	// The state at the beginning, no news.
	Initial bool `json:"initial,omitempty"`
	// Everything that is known now.
	Names []string `json:"names,omitempty"`
	Watch bool     `json:"watch,omitempty"`
	// The list is asked for as a stream.
	Streamed bool `json:"streamed,omitempty"`
	Code     int  `json:"code,omitempty"`
	// The end of the streamed list.
	End bool `json:"end,omitempty"`
	// What KubeVela would tell of a cluster.
	Says map[string]string `json:"says,omitempty"`
}

var output sync.Mutex

func report(line line) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// reporting shows the requests of an informer, and of their answers what it would not show.
type reporting struct{ http.RoundTripper }

func (r reporting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	resource, query := path.Base(request.URL.Path), request.URL.Query()
	watch := query.Get("watch") == "true"
	report(line{
		Event: "REQUEST", Resource: resource, Watch: watch, Code: response.StatusCode,
		Streamed: query.Get("sendInitialEvents") == "true", ResourceVersion: query.Get("resourceVersion"),
	})
	if watch && response.StatusCode == http.StatusOK {
		response.Body = &observed{ReadCloser: response.Body, resource: resource}
	}
	return response, nil
}

type observed struct {
	io.ReadCloser
	resource string
	rest     []byte
}

func (o *observed) Read(buffer []byte) (int, error) {
	n, err := o.ReadCloser.Read(buffer)
	o.rest = append(o.rest, buffer[:n]...)
	for {
		event, rest, whole := bytes.Cut(o.rest, []byte{'\n'})
		if !whole {
			return n, err
		}
		o.rest = rest
		o.see(event)
	}
}

func (o *observed) see(text []byte) {
	var event struct {
		Type   string
		Object struct {
			Code     int
			Metadata struct {
				ResourceVersion string
				Annotations     map[string]string
			}
		}
	}
	if json.Unmarshal(text, &event) != nil || (event.Type != "ERROR" && event.Type != "BOOKMARK") {
		return
	}
	report(line{
		Event: event.Type, Resource: o.resource, Code: event.Object.Code,
		ResourceVersion: event.Object.Metadata.ResourceVersion,
		End:             event.Object.Metadata.Annotations["k8s.io/initial-events-end"] == "true",
	})
}
