package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/models/store"
)

func TestModelsGoThroughARegistryWithTLSAndAPassword(t *testing.T) {
	cert, key := certificate(t)
	users := writeFile(t, filepath.Join(t.TempDir(), "htpasswd"),
		[]byte("site:"+bcryptOfSecret+"\n"))
	host := startRegistry(t, "-cert", cert, "-key", key, "-htpasswd", users)
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	login := func(password string) {
		word := base64.StdEncoding.EncodeToString([]byte("site:" + password))
		writeFile(t, filepath.Join(config, "config.json"),
			[]byte(`{"auths":{"`+host+`":{"auth":"`+word+`"}}}`))
	}
	open := func(ref string, o Options) *Repository {
		r, err := OpenRepository(host+"/"+ref, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	trusting := Options{CAFile: cert}
	from, to := newStore(t), newStore(t)
	m := addModel(t, from, "llava:7b")

	login("secret")
	if err := open("models/llava:7b", Options{}).Push(t.Context(), m, nil); !errors.Is(err,
		ErrRemote) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the site's certificate: %v", err)
	}
	login("guess")
	if err := open("models/llava:7b", trusting).Push(t.Context(), m, nil); !errors.Is(err,
		ErrRemote) || !strings.Contains(err.Error(), "401") {
		t.Errorf("with a wrong password: %v", err)
	}
	login("secret")
	var pushed int64
	for range 2 { // the second time all is there
		pushed = 0
		if err := open("models/llava:7b", trusting).Push(t.Context(), m, func(n int64) {
			pushed += n
		}); err != nil {
			t.Fatal(err)
		}
	}
	if pushed != m.Manifest.Size() {
		t.Errorf("told of %d bytes of %d", pushed, m.Manifest.Size())
	}
	r := open("models/llava:7b", trusting)
	name, err := r.Name()
	if err != nil || name.String() != "models/llava:7b" {
		t.Errorf("%v, %v", name, err)
	}
	for _, ref := range []string{"models/llava:7b", "models/llava@" + string(m.Digest)} {
		got, err := Pull(t.Context(), to, open(ref, trusting), name, false, nil, nil)
		if err != nil || got.Digest != m.Digest {
			t.Fatalf("%s: %+v, %v", ref, got, err)
		}
	}
	mustBeWhole(t, to)
	if _, err := Pull(t.Context(), to, open("models/none", trusting), name, false, nil,
		nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a missing model: %v", err)
	}
	if _, err := open("models/llava@"+string(m.Digest), trusting).Name(); !errors.Is(err,
		store.ErrName) {
		t.Errorf("the name of a digest: %v", err)
	}
}

// bcryptOfSecret is "secret" as htpasswd -B stores it, made by libxcrypt's crypt(3).
const bcryptOfSecret = "$2b$12$bFPOdoZf8bbehc48tem.duwgxn15yvFoFFPYjKKZQgfuQaAm1/n.i"

func TestAnInterruptedPullGoesOn(t *testing.T) {
	host := startRegistry(t)
	from := newStore(t)
	m := addModel(t, from, "a")
	var offsets []string
	// Between us and the registry stands what breaks the connection once, after a megabyte.
	broken := false
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host, r.RequestURI = "http", host, ""
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		for key, values := range response.Header {
			w.Header()[key] = values
		}
		if location := w.Header().Get("Location"); location != "" {
			w.Header().Set("Location", strings.Replace(location, host, r.Host, 1))
		}
		w.WriteHeader(response.StatusCode)
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path,
			m.Manifest.Layers[0].Digest.Hex()) {
			offsets = append(offsets, r.Header.Get("Range"))
			if !broken {
				broken = true
				_, _ = io.CopyN(w, response.Body, 2<<20)
				panic(http.ErrAbortHandler)
			}
		}
		_, _ = io.Copy(w, response.Body)
	}))
	defer front.Close()
	r, err := OpenRepository(strings.TrimPrefix(front.URL, "http://")+"/a:latest",
		Options{PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Push(t.Context(), m, nil); err != nil {
		t.Fatal(err)
	}
	to := newStore(t)
	if _, err := Pull(t.Context(), to, r, m.Name, false, nil, nil); err == nil {
		t.Fatal("the broken connection was not noticed")
	}
	mustBeWhole(t, to)
	if _, err := Pull(t.Context(), to, r, m.Name, false, nil, nil); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, to)
	if last := offsets[len(offsets)-1]; !strings.HasPrefix(last, "bytes=") ||
		strings.HasPrefix(last, "bytes=0-") {
		t.Errorf("requested: %q", offsets)
	}
}

func TestAWebServerOfAStoreIsAMirror(t *testing.T) {
	from, to := newStore(t), newStore(t)
	m := addModel(t, from, "team/llava:7b")
	files := http.FileServer(http.Dir(from.Root()))
	var ranges []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		http.StripPrefix("/site", files).ServeHTTP(w, r)
	}))
	defer server.Close()
	ca := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	// Half of the file is there from an attempt before.
	d := m.Manifest.Layers[0]
	data := readBlob(t, m, d)
	session, err := to.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = session.Receive(t.Context(), d, func(int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:2<<20]), failing{})), nil
	}, nil)
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	mirror, err := OpenMirror(server.URL+"/site", m.Name, Options{CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Pull(t.Context(), to, mirror, m.Name, false, nil, nil)
	if err != nil || got.Digest != m.Digest {
		t.Fatalf("%+v, %v", got, err)
	}
	mustBeWhole(t, to)
	if !strings.Contains(strings.Join(ranges, ","), "bytes=2097152-") {
		t.Errorf("requested: %q", ranges)
	}
	none, err := OpenMirror(server.URL+"/site", mustName(t, "none"), Options{CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), to, none, m.Name, false, nil, nil); !errors.Is(err,
		store.ErrNotFound) {
		t.Errorf("a missing model: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func readBlob(t *testing.T, m *store.Model, d store.Descriptor) []byte {
	t.Helper()
	f, err := m.OpenBlob(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestNoOtherHostIsContacted(t *testing.T) {
	contacted := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		contacted++
	}))
	defer elsewhere.Close()
	named := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer named.Close()
	s := newStore(t)
	mirror, err := OpenMirror(named.URL, mustName(t, "a"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	repository, err := OpenRepository(strings.TrimPrefix(named.URL, "http://")+"/a",
		Options{PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []Remote{mirror, repository} {
		if _, err := Pull(t.Context(), s, from, mustName(t, "a"), false, nil, nil); !errors.Is(err,
			ErrHost) || !strings.Contains(err.Error(), "allow that host") {
			t.Errorf("%v", err)
		}
	}
	if contacted > 0 {
		t.Errorf("contacted %d times", contacted)
	}
}

// A registry says where tokens are given (its realm). Password and question must not go to a host
// that nobody named, and no name server may be asked about it.
func TestNoOtherHostIsAskedForATokenUnlessAllowed(t *testing.T) {
	var passwords []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		passwords = append(passwords, password)
		_, _ = io.WriteString(w, `{"token":"open"}`)
	}))
	defer elsewhere.Close()
	from := newStore(t)
	m := addModel(t, from, "a")
	realm := ""
	named := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer open" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", store.MediaManifest)
		_, _ = w.Write(m.Raw())
	}))
	defer named.Close()
	host := strings.TrimPrefix(named.URL, "http://")
	config := t.TempDir()
	t.Setenv("DOCKER_CONFIG", config)
	word := base64.StdEncoding.EncodeToString([]byte("site:secret"))
	writeFile(t, filepath.Join(config, "config.json"),
		[]byte(`{"auths":{"`+host+`":{"auth":"`+word+`"}}}`))
	ask := func(o Options) error {
		o.PlainHTTP = true
		r, err := OpenRepository(host+"/a", o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Manifest(t.Context())
		return err
	}
	port := elsewhere.URL[strings.LastIndexByte(elsewhere.URL, ':'):]
	for _, realm = range []string{elsewhere.URL + "/token", "http://localhost" + port + "/token",
		"http://tokens.invalid/token", "http://[::1]" + port} {
		if err := ask(Options{}); !errors.Is(err, ErrHost) || !strings.Contains(err.Error(),
			"allow that host") {
			t.Errorf("%s: %v", realm, err)
		}
	}
	for _, realm = range []string{"file:///etc/passwd", "ftp://" + host, ""} {
		if err := ask(Options{}); err == nil {
			t.Errorf("the realm %q is asked", realm)
		}
	}
	if len(passwords) > 0 {
		t.Fatalf("another host was given %q", passwords)
	}
	realm = "http://localhost" + port + "/token"
	if err := ask(Options{AllowHosts: []string{"LOCALHOST" + port}}); err != nil ||
		len(passwords) != 1 || passwords[0] != "secret" {
		t.Errorf("%v; given %q", err, passwords)
	}
}

func TestTLSIsNotLeftOnTheWay(t *testing.T) {
	contacted := 0
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		contacted++
	}))
	defer plain.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	ca := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	mirror, err := OpenMirror(server.URL, mustName(t, "a"),
		Options{CAFile: ca, AllowHosts: []string{strings.TrimPrefix(plain.URL, "http://")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mirror.Manifest(t.Context()); !errors.Is(err, ErrHost) ||
		!strings.Contains(err.Error(), "not encrypted") || contacted > 0 {
		t.Errorf("%v; contacted %d times", err, contacted)
	}
}

func TestAModelThatDoesNotFitIsNotBegun(t *testing.T) {
	from := newStore(t)
	m := addModel(t, from, "a")
	raw := strings.Replace(string(m.Raw()), `"size":`+strconv.FormatInt(m.Manifest.Layers[0].Size,
		10), `"size":1125899906842624`, 1)
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; strings.Contains(r.URL.Path, "manifests") {
			_, _ = io.WriteString(w, raw)
		}
	}))
	defer server.Close()
	mirror, err := OpenMirror(server.URL, m.Name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), newStore(t), mirror, m.Name, false, nil, nil); !errors.Is(err,
		store.ErrSpace) || asked != 1 {
		t.Errorf("%v; asked %d times", err, asked)
	}
}

func TestAServerThatLiesIsFoundOut(t *testing.T) {
	from := newStore(t)
	m := addModel(t, from, "a")
	files := http.FileServer(http.Dir(from.Root()))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, m.Manifest.Layers[0].Digest.FileName()) {
			_, _ = w.Write(make([]byte, m.Manifest.Layers[0].Size))
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	mirror, err := OpenMirror(server.URL, m.Name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	if _, err := Pull(t.Context(), s, mirror, m.Name, false, nil, nil); !errors.Is(err,
		store.ErrDigest) {
		t.Errorf("%v", err)
	}
	if _, err := s.Find("a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
	mustBeWhole(t, s)
}

func TestReferences(t *testing.T) {
	for ref, want := range map[string]bool{
		"registry.site/llava": true, "localhost/llava:7b": true, "host:5000/team/llava": true,
		"llava": false, "team/llava": false, "team/llava:7b": false,
		"./llava": false, "../x/y": false, "": false, "host.site/": false,
	} {
		if got := IsReference(ref); got != want {
			t.Errorf("%q: %v", ref, got)
		}
	}
	for _, ref := range []string{"team/llava", "host:5000/UPPER", "host:5000/a:b:c",
		"host:5000/../a", "host:5000/a@sha256:x"} {
		if r, err := OpenRepository(ref, Options{}); !errors.Is(err, store.ErrName) {
			t.Errorf("%q: %+v, %v", ref, r, err)
		}
	}
	for _, base := range []string{"", "ftp://host/x", "host/x", "http://", "file:///etc"} {
		if _, err := OpenMirror(base, store.Name{}, Options{}); !errors.Is(err, store.ErrName) {
			t.Errorf("%q: %v", base, err)
		}
	}
}
