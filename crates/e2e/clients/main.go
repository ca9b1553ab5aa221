// Clients of other people's making, run against the gateway by the tests: client-go's informers, controller-runtime's
// cache and client. What happens is printed as one JSON object a line; an error ends the program.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

type options struct {
	cluster, direct, template string
	resources                 []string
	selector                  string
	count                     int
	verb, member, to          string
}

var commands = map[string]func(context.Context, *rest.Config, options) error{
	"informer":       runInformers,
	"cache":          runCache,
	"metadata-cache": runMetadataCache,
	"conformance":    runConformance,
	"register":       runRegister,
	"kubevela":       runKubevela,
}

func main() {
	ctrllog.SetLogger(klog.Background())
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return fmt.Errorf("the first argument is none of the commands: %q", args)
	}
	var options options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "who asks, and where")
	resources := flags.String("resources", "clustergateways,virtualclusters", "what is watched")
	flags.StringVar(&options.selector, "selector", "", "labels of what is watched")
	flags.StringVar(&options.cluster, "cluster", "", "the cluster that requests are led into")
	flags.StringVar(&options.direct, "direct", "", "a kubeconfig that leads to the gateway itself")
	flags.StringVar(&options.template, "template", "", "a file with the Secret that is registered, NAME standing for its name")
	flags.IntVar(&options.count, "count", 0, "how many are registered")
	flags.StringVar(&options.verb, "verb", "", "which request of KubeVela's")
	flags.StringVar(&options.member, "member", "", "the kubeconfig of a cluster that joins")
	flags.StringVar(&options.to, "to", "", "new name, alias, or label: KEY=VALUE, or KEY to remove it")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	options.resources = strings.Split(*resources, ",")
	config, err := load(*kubeconfig)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return commands[args[0]](ctx, config, options)
}

func load(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// The tests are about the server, not about how slowly a client may ask.
	config.QPS, config.Burst = -1, -1
	return config, nil
}
