// Command kubelet stands in for a node in tests: it serves exec, attach, port-forward and logs with the
// kubelet's own streaming code, and runs what it is asked to run on this machine.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/creack/pty"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const (
	idleTimeout = time.Hour
	logLines    = 10
	logInterval = 200 * time.Millisecond
)

// v5 exists over WebSocket only: offered over SPDY, as the API server asks, exec hangs.
var protocols = []string{"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"}

// node implements the callbacks of the streaming library. target is where every port-forward ends.
type node struct{ target string }

func (n *node) ExecInContainer(ctx context.Context, _, _, _ string, command []string, stdin io.Reader, stdout, stderr io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	// Pdeathsig follows the thread that forks, so the thread must live as long as the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if tty {
		return exitError(runInTerminal(cmd, stdin, stdout, resize))
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// Not cmd.Stdin: Wait would then wait for the client to close its end, also after the command has exited.
	if stdin != nil {
		pipe, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, stdin)
			_ = pipe.Close()
		}()
	}
	return exitError(cmd.Run())
}

func runInTerminal(cmd *exec.Cmd, stdin io.Reader, stdout io.Writer, resize <-chan remotecommand.TerminalSize) error {
	terminal, err := pty.Start(cmd)
	if err != nil {
		return err
	}
	defer terminal.Close()
	go func() {
		for size := range resize {
			_ = pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if stdin != nil {
		go func() { _, _ = io.Copy(terminal, stdin) }()
	}
	// The read side of a terminal ends with EIO when the command has exited: no error of the copy matters.
	_, _ = io.Copy(stdout, terminal)
	return cmd.Wait()
}

// exitError says how a command ended in the one form that reaches the client as an exit code.
func exitError(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	}
	return err
}

func (n *node) AttachContainer(_ context.Context, _, _, _ string, stdin io.Reader, stdout, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	if stdin == nil {
		_, err := io.WriteString(stdout, "attached\n")
		return err
	}
	_, err := io.Copy(stdout, stdin)
	return err
}

func (n *node) PortForward(_ context.Context, _, _ string, _ int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	connection, err := net.Dial("tcp", n.target)
	if err != nil {
		return err
	}
	defer connection.Close()
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, connection)
	return err
}

func (n *node) exec(w http.ResponseWriter, r *http.Request) {
	if options, ok := streamOptions(w, r); ok {
		remotecommand.ServeExec(w, r, n, r.PathValue("pod"), "", r.PathValue("container"), r.Form["command"],
			options, idleTimeout, remotecommand.DefaultStreamCreationTimeout, protocols)
	}
}

func (n *node) attach(w http.ResponseWriter, r *http.Request) {
	if options, ok := streamOptions(w, r); ok {
		remotecommand.ServeAttach(w, r, n, r.PathValue("pod"), "", r.PathValue("container"),
			options, idleTimeout, remotecommand.DefaultStreamCreationTimeout, protocols)
	}
}

func streamOptions(w http.ResponseWriter, r *http.Request) (*remotecommand.Options, bool) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, false
	}
	return options, true
}

func (n *node) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, n, r.PathValue("pod"), "", options,
		idleTimeout, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

func logs(w http.ResponseWriter, r *http.Request) {
	follow := r.FormValue("follow") == "true"
	for line := 1; follow || line <= logLines; line++ {
		if _, err := fmt.Fprintf(w, "line %d\n", line); err != nil {
			return
		}
		if !follow {
			continue
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(logInterval):
		}
	}
}

// workload is what runs "in the pod": it greets, and sends back what is posted to it.
func workload(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		// HTTP/1 in Go reads no more of a body once an answer has begun.
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		return
	}
	_, _ = io.WriteString(w, "hello from the pod\n")
}

func main() {
	address := flag.String("address", "", "where to serve, for example 127.0.0.1:10250")
	certificate := flag.String("tls-cert-file", "", "serving certificate")
	key := flag.String("tls-private-key-file", "", "its key")
	clients := flag.String("client-ca-file", "", "CA of those who may run commands here")
	flag.Parse()
	if err := serve(*address, *certificate, *key, *clients); err != nil {
		log.Fatal(err)
	}
}

func serve(address, certificate, key, clients string) error {
	pem, err := os.ReadFile(clients)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("no certificate in %q", clients)
	}
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { log.Fatal(http.Serve(inside, http.HandlerFunc(workload))) }()

	n := &node{target: inside.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", n.exec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", n.attach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", n.portForward)
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", logs)

	server := &http.Server{
		Addr:    address,
		Handler: mux,
		// An upgrade needs HTTP/1.1; an empty map keeps HTTP/2 from being offered.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig:    &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool},
	}
	return server.ListenAndServeTLS(certificate, key)
}
