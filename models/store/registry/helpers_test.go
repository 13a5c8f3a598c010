package registry

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// program is the distribution project's registry, built once.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndTest(m)) }

func buildAndTest(m *testing.M) int {
	dir, err := os.MkdirTemp("", "eyelet-registry-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "registry"), ".")
	build.Dir = "../../../scripts/registry"
	// as much of it as can be has been compiled for other programs
	build.Env = append(os.Environ(), "CGO_ENABLED=0",
		"GOFLAGS=-buildvcs=false -trimpath -tags=netgo,osusergo -ldflags=-w")
	if out, err := build.CombinedOutput(); err == nil {
		program = filepath.Join(dir, "registry")
	} else if os.Getenv("EYELET_PEERS") == "require" {
		os.Stderr.Write(out)
		return 1
	}
	return m.Run()
}

// startRegistry starts a registry and returns its address.
func startRegistry(t *testing.T, args ...string) string {
	t.Helper()
	if program == "" {
		t.Skip("the registry of scripts/registry cannot be built: its modules are not in the module cache")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// certificate writes a certificate for the loopback address that signs itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "site"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return writeFile(t, filepath.Join(dir, "cert.pem"),
			pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		writeFile(t, filepath.Join(dir, "key.pem"),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Root: filepath.Join(t.TempDir(), "models"), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func addModel(t *testing.T, s *store.Store, name string) *store.Model {
	t.Helper()
	w := gguf.NewWriter("llama")
	data := make([]byte, 3<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	w.AddTensor("x", gguf.F32, []uint64{uint64(len(data) / 4)}, data)
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	m, err := s.Import(t.Context(), mustName(t, name), store.Files{Model: path}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustName(t *testing.T, s string) store.Name {
	t.Helper()
	n, err := store.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustBeWhole(t *testing.T, s *store.Store) {
	t.Helper()
	r, err := s.Check(t.Context(), store.CheckOptions{})
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}
