#include "base/sha256.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

/* libcrypto fails here only when it is out of memory or broken: nothing to go on with. */
static void must(int success)
{
    if (!success) {
        abort();
    }
}

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static pthread_key_t context_key; /* its destructor frees a thread's context when it ends */
static EVP_MD *algorithm;         /* fetched once: a look-up by name costs as much as a hash */
static _Thread_local EVP_MD_CTX *thread_context;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void prepare(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(algorithm != NULL && pthread_key_create(&context_key, free_context) == 0);
}

static EVP_MD_CTX *context_create(void)
{
    must(pthread_once(&prepared, prepare) == 0);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL && EVP_DigestInit_ex2(context, algorithm, NULL));
    return context;
}

static EVP_MD_CTX *context_of_thread(void)
{
    if (thread_context == NULL) {
        EVP_MD_CTX *context = context_create();
        must(pthread_setspecific(context_key, context) == 0);
        thread_context = context;
    }
    return thread_context;
}

/* Ends the hash and makes the context ready for the next one. */
static struct osr_hash finish(EVP_MD_CTX *context)
{
    struct osr_hash hash;
    unsigned size = 0;
    must(EVP_DigestFinal_ex(context, hash.bytes, &size));
    assert(size == sizeof(hash.bytes));
    must(EVP_DigestInit_ex2(context, NULL, NULL));
    return hash;
}

struct osr_hash osr_sha256(const struct osr_slice *pieces, size_t count)
{
    EVP_MD_CTX *context = context_of_thread();
    for (size_t i = 0; i < count; i++) {
        must(EVP_DigestUpdate(context, pieces[i].data, pieces[i].size));
    }
    return finish(context);
}

struct osr_sha256_stream {
    EVP_MD_CTX *context;
};

struct osr_sha256_stream *osr_sha256_stream_create(void)
{
    struct osr_sha256_stream *stream = osr_alloc(sizeof(*stream));
    stream->context = context_create();
    return stream;
}

void osr_sha256_stream_destroy(struct osr_sha256_stream *stream)
{
    if (stream != NULL) {
        EVP_MD_CTX_free(stream->context);
        free(stream);
    }
}

void osr_sha256_stream_add(struct osr_sha256_stream *stream, const void *data, size_t size)
{
    must(EVP_DigestUpdate(stream->context, data, size));
}

struct osr_hash osr_sha256_stream_finish(struct osr_sha256_stream *stream)
{
    return finish(stream->context);
}

bool osr_hash_equal_in_constant_time(const struct osr_hash *a, const struct osr_hash *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
