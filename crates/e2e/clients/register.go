package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const writers = 16

// runRegister creates many Secrets, and is done when they are there.
func runRegister(ctx context.Context, config *rest.Config, options options) error {
	template, err := os.ReadFile(options.template)
	if err != nil {
		return err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	numbers, failures := make(chan int), make(chan error, writers)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for number := range numbers {
				if err := create(ctx, clientset, string(template), number); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	err = feed(ctx, options.count, numbers, failures)
	close(numbers)
	group.Wait()
	if err != nil {
		return err
	}
	select {
	case err = <-failures:
		return err
	default:
		report(line{Event: "CHECKED", Name: fmt.Sprintf("%d registered", options.count)})
		return nil
	}
}

func feed(ctx context.Context, count int, numbers chan<- int, failures <-chan error) error {
	for number := range count {
		select {
		case numbers <- number:
		case err := <-failures:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func create(ctx context.Context, clientset kubernetes.Interface, template string, number int) error {
	secret := &corev1.Secret{}
	text := strings.ReplaceAll(template, "NAME", fmt.Sprintf("cluster-%05d", number))
	if err := yaml.UnmarshalStrict([]byte(text), secret); err != nil {
		return err
	}
	_, err := clientset.CoreV1().Secrets(secret.Namespace).Create(ctx, secret, metav1.CreateOptions{})
	return err
}
