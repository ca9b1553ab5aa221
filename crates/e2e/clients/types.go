package main

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ClusterGateway has what the programs that use the gateway read of one.
type ClusterGateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Provider string `json:"provider"`
		Access   struct {
			Endpoint struct {
				Type string `json:"type"`
			} `json:"endpoint"`
			Credential struct {
				Type string `json:"type"`
			} `json:"credential"`
		} `json:"access"`
	} `json:"spec"`
	Status struct {
		Healthy       bool   `json:"healthy"`
		HealthyReason string `json:"healthyReason,omitempty"`
	} `json:"status,omitempty"`
}

// ClusterGatewayList is a list of them.
type ClusterGatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterGateway `json:"items"`
}

// VirtualCluster likewise.
type VirtualCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Alias          string `json:"alias,omitempty"`
		Accepted       bool   `json:"accepted,omitempty"`
		Endpoint       string `json:"endpoint,omitempty"`
		CredentialType string `json:"credential-type,omitempty"`
	} `json:"spec"`
}

// VirtualClusterList is a list of them.
type VirtualClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualCluster `json:"items"`
}

// copied is a copy by way of JSON: slow, and right for every type.
func copied[T any](from *T) *T {
	text, err := json.Marshal(from)
	if err != nil {
		panic(err)
	}
	to := new(T)
	if err := json.Unmarshal(text, to); err != nil {
		panic(err)
	}
	return to
}

func (c *ClusterGateway) DeepCopyObject() runtime.Object     { return copied(c) }
func (c *ClusterGatewayList) DeepCopyObject() runtime.Object { return copied(c) }
func (c *VirtualCluster) DeepCopyObject() runtime.Object     { return copied(c) }
func (c *VirtualClusterList) DeepCopyObject() runtime.Object { return copied(c) }
