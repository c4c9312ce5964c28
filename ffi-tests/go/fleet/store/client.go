// SPDX-License-Identifier: MPL-2.0

package store

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Connection is how etcd is reached.
type Connection struct {
	Endpoints []string
	// CACert, Cert and Key are files; Cert and Key are the client's own.
	CACert, Cert, Key string
	// User and PasswordFile are for etcd's authentication by password.
	User, PasswordFile string
}

// Timeout is after which one request has failed.
const Timeout = 5 * time.Second

// Open makes a client. It connects when it is used, and again whenever it must.
func (c Connection) Open() (*clientv3.Client, error) {
	config := clientv3.Config{
		Endpoints:   c.Endpoints,
		DialTimeout: Timeout,
		// A connection that leads nowhere is noticed by this when nothing else is sent; the lease of the status is renewed
		// more often, so a healthy one is never pinged.
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		LogConfig:            quiet(),
		// An etcd that is away for an hour is tried again soon after it is back.
		DialOptions: []grpc.DialOption{grpc.WithBackoffMaxDelay(3 * time.Second)},
	}
	if c.CACert != "" || c.Cert != "" {
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CACert != "" {
		text, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the store: %w", err)
		}
		config.TLS.RootCAs = x509.NewCertPool()
		if !config.TLS.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: no certificate in PEM form", c.CACert)
		}
	}
	if c.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		config.TLS.Certificates = []tls.Certificate{certificate}
	}
	if c.User != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read the password: %w", err)
		}
		config.Username, config.Password = c.User, strings.TrimRight(string(text), "\r\n")
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.Join(c.Endpoints, ","), err)
	}
	return client, nil
}

// quiet keeps the client's own log away: what matters of it comes back as errors.
func quiet() *zap.Config {
	config := zap.NewProductionConfig()
	config.Level = zap.NewAtomicLevelAt(zap.FatalLevel)
	return &config
}
