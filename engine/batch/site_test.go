package batch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// siteServer runs a NATS server as a site has it, and returns its address.
func siteServer(t *testing.T, o *natsd.Options) (*natsd.Server, string) {
	t.Helper()
	o.Host, o.NoSigs, o.NoLog, o.JetStream = "127.0.0.1", true, true, true
	if o.Port == 0 {
		o.Port = natsd.RANDOM_PORT
	}
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	s, err := natsd.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s, s.Addr().String()
}

// carriesOut has a batch carried out over the queue of a site, pictures and results that need the
// object store included.
func carriesOut(t *testing.T, address string, o ConnectOptions) {
	t.Helper()
	o.AckWait = 2 * time.Second
	submitter, err := Connect(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = submitter.Close() }()
	worker, err := Connect(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = worker.Close() }()
	end := work(t, worker, echo)
	defer end()
	path := writeTemp(t, "a.png", []byte("a picture"))
	count, err := submitter.Submit(t.Context(), Submission{Batch: "b", Resolve: isToy,
		Items: func(yield func(Item, error) bool) {
			for item, err := range numbered(20) {
				item.Pictures = []Source{{Name: "a.png", Path: path, Page: -1}}
				if !yield(item, err) {
					return
				}
			}
		}})
	if err != nil || count.OK != 20 {
		t.Fatalf("%+v, %v", count, err)
	}
	if r, ok, err := submitter.Result(t.Context(), "b", "item 7"); !ok || err != nil || !r.OK() {
		t.Errorf("%+v, %v", r, err)
	}
	if list := workersOf(t, submitter, 200*time.Millisecond); len(list) != 1 {
		t.Errorf("%v", list)
	}
	if err := submitter.Drop(t.Context(), "b"); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, address string, o ConnectOptions, want string) {
	t.Helper()
	q, err := Connect(t.Context(), address, o)
	if err == nil {
		_ = q.Close()
		t.Fatalf("connected with %+v", o)
	}
	if !strings.Contains(err.Error(), want) || Absent(err) ||
		Refused(err) != (want == "Authorization") {
		t.Errorf("%v; want %q", err, want)
	}
}

func writeTemp(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The subjects that docs/batch.md names are enough.
func TestUserAndPassword(t *testing.T) {
	rights := &natsd.SubjectPermission{Allow: []string{"eyelet.>", "_INBOX.>", "$JS.API.>",
		"$JS.ACK.>", "$O.>"}}
	_, address := siteServer(t, &natsd.Options{Users: []*natsd.User{{Username: "me",
		Password: "secret", Permissions: &natsd.Permissions{Publish: rights, Subscribe: rights}}}})
	carriesOut(t, "nats://me:secret@"+address, ConnectOptions{})
	refused(t, "nats://me:wrong@"+address, ConnectOptions{}, "Authorization")
	refused(t, "nats://"+address, ConnectOptions{}, "Authorization")
}

func TestNKeys(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	_, address := siteServer(t, &natsd.Options{Nkeys: []*natsd.NkeyUser{{Nkey: public}}})
	carriesOut(t, "nats://"+address, ConnectOptions{NKey: writeTemp(t, "seed", seed)})
	refused(t, "nats://"+address, ConnectOptions{}, "Authorization")
	if _, err := Connect(t.Context(), "nats://"+address,
		ConnectOptions{NKey: writeTemp(t, "seed", []byte("no seed"))}); err == nil {
		t.Error("a file without a seed was taken")
	}
}

// Credentials of an operator's account, as "nsc" makes them.
func TestCredentials(t *testing.T) {
	operator, _ := nkeys.CreateOperator()
	operatorKey, _ := operator.PublicKey()
	resolver := &natsd.MemAccResolver{}
	account := func(streams bool) (nkeys.KeyPair, string) {
		pair, _ := nkeys.CreateAccount()
		key, _ := pair.PublicKey()
		claims := jwt.NewAccountClaims(key)
		if streams {
			claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1,
				Streams: -1, Consumer: -1}
		}
		token, err := claims.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		if err := resolver.Store(key, token); err != nil {
			t.Fatal(err)
		}
		return pair, key
	}
	site, _ := account(true)
	_, system := account(false)
	s, address := siteServer(t, &natsd.Options{TrustedKeys: []string{operatorKey},
		AccountResolver: resolver, SystemAccount: system})
	if !s.JetStreamEnabled() {
		t.Fatal("no JetStream")
	}
	user, _ := nkeys.CreateUser()
	userKey, _ := user.PublicKey()
	seed, _ := user.Seed()
	token, err := jwt.NewUserClaims(userKey).Encode(site)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	carriesOut(t, "nats://"+address, ConnectOptions{Credentials: writeTemp(t, "site.creds", creds)})
	refused(t, "nats://"+address, ConnectOptions{}, "Authorization")
}

// authority makes certificates of a site.
type authority struct {
	t      *testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// issue writes a certificate and its key, signed by the authority, or by itself where that has none
// yet.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	a.serial++
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		IsCA: a.cert == nil}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, pair
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &pair.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		a.key = pair
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
	}
	secret, err := x509.MarshalECPrivateKey(pair)
	if err != nil {
		a.t.Fatal(err)
	}
	return writeTemp(a.t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: der})), writeTemp(a.t, "key.pem",
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
}

func TestTLS(t *testing.T) {
	a := &authority{t: t}
	root, _ := a.issue("the site's authority")
	cert, key := a.issue("queue")
	config, err := natsd.GenTLSConfig(&natsd.TLSConfigOpts{CertFile: cert, KeyFile: key,
		CaFile: root, Verify: true})
	if err != nil {
		t.Fatal(err)
	}
	config.MinVersion = tls.VersionTLS12
	_, address := siteServer(t, &natsd.Options{TLSConfig: config, TLS: true, TLSVerify: true,
		TLSTimeout: 5})
	mine, myKey := a.issue("me")
	good := ConnectOptions{CA: root, Cert: mine, Key: myKey}
	carriesOut(t, "tls://"+address, good)
	refused(t, "tls://"+address, ConnectOptions{Cert: mine, Key: myKey}, "unknown authority")
	refused(t, "tls://"+address, ConnectOptions{CA: root}, "tls")
	stranger := &authority{t: t}
	stranger.issue("another authority")
	other, otherKey := stranger.issue("me")
	refused(t, "tls://"+address, ConnectOptions{CA: root, Cert: other, Key: otherKey}, "tls")
}

// Of three servers one may go: nothing is lost, and the batch goes on.
func TestReplicasOutliveAServer(t *testing.T) {
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("EYELET_SLOW is not set: a cluster takes a quarter of a minute")
	}
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	var servers []*natsd.Server
	var addresses []string
	for i, port := range ports {
		s, address := siteServer(t, &natsd.Options{ServerName: fmt.Sprint("n", i), Routes: routes,
			Cluster: natsd.ClusterOpts{Name: "site", Host: "127.0.0.1", Port: port}})
		servers, addresses = append(servers, s), append(addresses, "nats://"+address)
	}
	for range 100 { // until there is a leader
		if servers[0].JetStreamIsCurrent() || servers[1].JetStreamIsLeader() ||
			servers[2].JetStreamIsLeader() {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	o := ConnectOptions{Replicas: 3, AckWait: 2 * time.Second,
		Log: func(text string) { t.Log(text) }}
	connect := func() *Queue {
		for try := 0; ; try++ {
			q, err := Connect(t.Context(), strings.Join(addresses, ","), o)
			if err == nil {
				t.Cleanup(func() { _ = q.Close() })
				return q
			}
			if try == 50 {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	submitter := connect()
	for range 2 {
		work(t, connect(), echo)
	}
	done := 0
	count, err := submitter.Submit(t.Context(), Submission{Batch: "b", Items: numbered(400),
		Resolve: isToy, Window: 32, Wait: func(err error) { t.Log(err) },
		Done: func(bool, bool) {
			if done++; done == 150 {
				go servers[leaderOf(t, servers, resultsStream+"b")].Shutdown()
			}
		}})
	if err != nil || count.OK != 400 {
		t.Fatalf("%+v, %v", count, err)
	}
	for i := range 400 {
		if _, ok, err := submitter.Result(t.Context(), "b", fmt.Sprintf("item %d", i)); !ok ||
			err != nil {
			t.Errorf("item %d: %v, %v", i, ok, err)
		}
	}
}

// leaderOf is the server that leads a stream.
func leaderOf(t *testing.T, servers []*natsd.Server, stream string) int {
	for i, s := range servers {
		if s.JetStreamIsStreamLeader(natsd.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	t.Log("no leader is known")
	return 0
}
