// SPDX-License-Identifier: MPL-2.0

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"

	"example.org/agent/fleet/fleettest"
	"example.org/agent/fleet/keys"
	"example.org/agent/fleet/status"
	"example.org/agent/fleet/store"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	a := &authority{t: t, dir: dir}
	a.issue("ca")
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue makes a certificate of a common name, as NAME.pem and NAME.key.
func (a *authority) issue(name string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(a.t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	check(a.t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	check(a.t, err)
	if a.cert == nil {
		a.cert, err = x509.ParseCertificate(der)
		check(a.t, err)
		a.key = key
	}
	private, err := x509.MarshalECPrivateKey(key)
	check(a.t, err)
	for path, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		check(a.t, os.WriteFile(a.path(path), pem.EncodeToMemory(block), 0o600))
	}
}

// secured is a store with TLS and roles.
type secured struct {
	*world
	*authority
}

// roles runs the script that sets the roles up, as it is.
func (s *secured) roles(password string, args ...string) {
	s.world.t.Helper()
	command := exec.Command("../roles.sh", args...)
	command.Env = append(os.Environ(), "ETCDCTL_ENDPOINTS="+s.members[0].URL, "ETCDCTL_CACERT="+s.path("ca.pem"),
		"ETCDCTL_CERT="+s.path("root.pem"), "ETCDCTL_KEY="+s.path("root.key"), "ETCDCTL_API=3")
	command.Stdin = strings.NewReader(password)
	if text, err := command.CombinedOutput(); err != nil {
		s.world.t.Fatalf("roles.sh %q: %v: %s", args, err, text)
	}
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	dir := t.TempDir()
	a := newAuthority(t, dir)
	for _, name := range []string{"server", "root", "n1", "agent"} {
		a.issue(name)
	}
	w := &world{t: t, dir: dir}
	var err error
	w.members, err = fleettest.NewEtcd(dir, 1, "--cert-file="+a.path("server.pem"), "--key-file="+a.path("server.key"),
		"--client-cert-auth", "--trusted-ca-file="+a.path("ca.pem"))
	check(t, err)
	check(t, w.members[0].Start())
	t.Cleanup(w.members[0].Kill)
	s := &secured{w, a}
	s.client = s.as("root", "")
	// As the page on fleets says.
	s.roles("password-of-operators\n", "operator", "op")
	s.roles("password-of-n0\n", "node", "n0", "g", "h")
	s.roles("", "node", "n1", "g")
	s.roles("password-of-n2\n", "node", "n2", "other")
	// A second time it changes nothing.
	s.roles("", "node", "n1", "g")
	for _, args := range [][]string{{"user", "add", "root", "--no-password"}, {"user", "grant-role", "root", "root"}, {"auth", "enable"}} {
		etcdctl(t, append(args, "--endpoints", w.members[0].URL, "--cacert", a.path("ca.pem"), "--cert", a.path("root.pem"),
			"--key", a.path("root.key"))...)
	}
	return s
}

// as is a client with a user's certificate, or with a password and the certificate that all have.
func (s *secured) as(user, password string) *clientv3.Client {
	s.world.t.Helper()
	connection := store.Connection{Endpoints: s.endpoints(), CACert: s.path("ca.pem"), Cert: s.path(user + ".pem"), Key: s.path(user + ".key")}
	if password != "" {
		file := s.path(user + ".password")
		check(s.world.t, os.WriteFile(file, []byte(password+"\n"), 0o600))
		connection.User, connection.PasswordFile = user, file
		connection.Cert, connection.Key = s.path("agent.pem"), s.path("agent.key")
	}
	client, err := fleettest.Client(connection)
	check(s.world.t, err)
	s.world.t.Cleanup(func() { client.Close() })
	return client
}

func TestCredentialsOfANodeReachItsOwnKeysOnly(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	s.put("nodes/n0/proxies/a", sleeper(1), "nodes/n2/proxies/a", sleeper(1), "groups/g/proxies/b", sleeper(1),
		"groups/other/proxies/c", sleeper(1), "status/n2", "x", "rollouts/g", `{}`)
	root := keys.Root + "/"
	for user, client := range map[string]*clientv3.Client{"n0": s.as("n0", "password-of-n0"), "n1": s.as("n1", "")} {
		may := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s may not %s: %v", user, what, err)
			}
		}
		mayNot := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, rpctypes.ErrPermissionDenied) {
				t.Errorf("%s may %s: %v", user, what, err)
			}
		}
		read := func(key string, options ...clientv3.OpOption) error {
			_, err := client.Get(ctx(t), root+key, options...)
			return err
		}
		write := func(key string) error {
			_, err := client.Put(ctx(t), root+key, "x")
			if err == nil {
				_, err = client.Delete(ctx(t), root+key)
			}
			return err
		}
		for _, prefix := range []string{"nodes/" + user + "/", "groups/g/", "rollouts/g/"} {
			may("read "+prefix, read(prefix, clientv3.WithPrefix()))
		}
		may("read the rollout", read("rollouts/g"))
		for _, key := range []string{"status/" + user, "status/" + user + "/proxies/a", "rollouts/g/turns/" + user,
			"rollouts/g/members/" + user, "rollouts/g/failed"} {
			may("write "+key, write(key))
		}
		for _, prefix := range []string{"", "nodes/", "nodes/n2/", "nodes/" + user, "groups/", "groups/other/", "groups/g", "status/",
			"status/" + user, "rollouts/", "rollouts/other/"} {
			mayNot("read "+prefix, read(prefix, clientv3.WithPrefix()))
		}
		for _, key := range []string{
			"nodes/n2/proxies/evil", "nodes/" + user + "/proxies/evil", "nodes/" + user + "/groups", "nodes/" + user + "/confirm",
			"groups/g/proxies/evil", "groups/g/confirm", "groups/other/proxies/evil", "rollouts/g", "rollouts/other", "status/n2",
			"status/n2/proxies/a", "rollouts/g/members/n2", "status/" + user + "0",
		} {
			mayNot("write "+key, write(key))
		}
		// Nor beside something that it may do.
		_, err := client.Txn(ctx(t)).Then(clientv3.OpPut(root+"status/"+user, "x"), clientv3.OpPut(root+"nodes/n2/proxies/evil", "x")).Commit()
		mayNot("write another node's in one step with its own", err)
		_, err = client.Delete(ctx(t), root, clientv3.WithPrefix())
		mayNot("delete everything", err)
		if response := <-client.Watch(ctx(t), root+"nodes/n2/", clientv3.WithPrefix()); response.Err() == nil ||
			!strings.Contains(response.Err().Error(), "permission denied") {
			t.Errorf("%s may watch another node: %v", user, response.Err())
		}
		if _, err := client.UserGrantRole(ctx(t), user, "root"); err == nil {
			t.Errorf("%s may become root", user)
		}
	}
	operator := s.as("op", "password-of-operators")
	_, err := operator.Put(ctx(t), root+"nodes/n2/proxies/new", sleeper(1))
	check(t, err)
}

func TestAgentsWorkWithTLSAndRolesAndKeepWhatIsTakenFromThem(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	s.put("nodes/n0/proxies/a", sleeper(1), "groups/g/proxies/b", sleeper(1), "rollouts/g", `{"healthy_for_ms":100}`,
		"nodes/n0/groups", `["g","forbidden"]`, "nodes/n1/groups", `["g"]`)
	check(t, os.WriteFile(s.path("n0.password"), []byte("password-of-n0\n"), 0o600))
	flags := func(name string, more ...string) []string {
		return append([]string{"--cacert", s.path("ca.pem"), "--cert", s.path(name + ".pem"), "--key", s.path(name + ".key")}, more...)
	}
	n0 := s.agent("n0", flags("agent", "--user", "n0", "--password-file", s.path("n0.password"))...)
	n1 := s.agent("n1", flags("n1")...)
	// A group that the node may not read is a problem, and no obstacle for the others.
	s.says("n0", "that two are ready", func(r status.Report) bool { return r.Node.Ready == 2 && len(r.Node.Problems) == 1 })
	s.says("n1", "that one is ready", func(r status.Report) bool { return r.Node.Ready == 1 && len(r.Node.Problems) == 0 })
	before := map[string]process{"a": n0.processOf("a"), "b": n0.processOf("b")}
	s.put("nodes/n0/proxies/c", sleeper(1), "groups/g/proxies/b", sleeper(2))
	s.says("n0", "that c and the group's change run", func(r status.Report) bool { return r.Node.Ready == 3 && len(r.Node.Waiting) == 0 })
	n0.logged("changed, and healthy", 0)
	n1.logged("changed, and healthy", 0)
	if before["b"].alive() {
		t.Error("the group was not followed")
	}
	before["b"] = n0.processOf("b")
	// What may be read no more stays as it is: of the group, and of the node itself.
	_, err := s.client.UserRevokeRole(ctx(t), "n0", "fleet-group-g")
	check(t, err)
	n0.end(9)
	n0.start()
	s.says("n0", "that two groups are problems", func(r status.Report) bool { return r.Node.Ready == 3 && len(r.Node.Problems) == 2 })
	expectAllAlive(t, "without the permission to read the group", before)
	_, err = s.client.UserRevokeRole(ctx(t), "n0", "fleet-node-n0")
	check(t, err)
	n0.end(9)
	n0.start()
	n0.logged("permission denied", 0)
	expectAllAlive(t, "without any permission", before)
	n0.untilStatus("that it is cut off", func(r status.Report) bool { return r.Node.CutOff != nil && r.Node.Ready == 3 })
	if strings.Contains(n0.log.text(), "password-of-n0") {
		t.Error("the log has the password")
	}
}
