/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that a test makes for itself: an authority, and leaves that it vouches for, as PEM.
 */
#ifndef VINE_TESTS_CERTIFICATES_H
#define VINE_TESTS_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define PEM_BYTES 4096

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
    char pem[PEM_BYTES];
    long serial;
};

struct leaf {
    char certificate[PEM_BYTES];
    char key[PEM_BYTES];
};

static inline void read_out(BIO *bio, char text[PEM_BYTES])
{
    const int size = BIO_read(bio, text, PEM_BYTES - 1);

    text[size > 0 ? size : 0] = '\0';
    BIO_free(bio);
}

static inline void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *const extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* `by` NULL: by itself. */
static inline X509 *certify(EVP_PKEY *key, const char *name, struct authority *by, long serial)
{
    X509 *const certificate = X509_new();

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate,
                         X509_get_subject_name(by != NULL ? by->certificate : certificate));
    return certificate;
}

static inline void make_authority(struct authority *authority, const char *name)
{
    BIO *const bio = BIO_new(BIO_s_mem());

    authority->serial = 1;
    authority->key = EVP_EC_gen("P-256");
    authority->certificate = certify(authority->key, name, NULL, 1);
    add_extension(authority->certificate, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(authority->certificate, authority->key, EVP_sha256());
    PEM_write_bio_X509(bio, authority->certificate);
    read_out(bio, authority->pem);
}

/* `names` as "DNS:name,IP:127.0.0.1". */
static inline void make_leaf(struct authority *authority, const char *names, struct leaf *leaf)
{
    EVP_PKEY *const key = EVP_EC_gen("P-256");
    X509 *const certificate = certify(key, names, authority, ++authority->serial);
    BIO *const of_certificate = BIO_new(BIO_s_mem());
    BIO *const of_key = BIO_new(BIO_s_mem());

    add_extension(certificate, NID_subject_alt_name, names);
    X509_sign(certificate, authority->key, EVP_sha256());
    PEM_write_bio_X509(of_certificate, certificate);
    PEM_write_bio_PrivateKey(of_key, key, NULL, NULL, 0, NULL, NULL);
    read_out(of_certificate, leaf->certificate);
    read_out(of_key, leaf->key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static inline void drop_authority(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

#endif
