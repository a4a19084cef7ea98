#include <ares.h>
#include <cjson/cJSON.h>
#include <expat.h>
#include <isa-l.h>
#include <llhttp.h>
#include <string.h>
#include <sys/utsname.h>
#include <zstd.h>

#include "core/ring.h"
#include "net/gcm.h"
#include "net/tls.h"
#include "tools/command.h"

/* jemalloc's control function, absent where another malloc is linked (sanitizers). */
__attribute__((weak)) int mallctl(const char *name, void *old, size_t *old_bytes, void *new,
                                  size_t new_bytes);

static void print_libraries(FILE *out)
{
    const char *malloc_version = NULL;
    size_t bytes = sizeof malloc_version;
    if (mallctl && mallctl("version", &malloc_version, &bytes, NULL, 0) != 0) malloc_version = NULL;
    fprintf(out, "libraries:\n");
    fprintf(out, "  %s\n", tls_library_version());
    fprintf(out, "  ISA-L %d.%d.%d\n", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION, ISAL_PATCH_VERSION);
    fprintf(out, "  liburing %s\n", ARGOSY_LIBURING_VERSION);
    fprintf(out, "  c-ares %s\n", ares_version(NULL));
    fprintf(out, "  expat %s\n", strchr(XML_ExpatVersion(), '_') + 1);
    fprintf(out, "  llhttp %d.%d.%d\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
            LLHTTP_VERSION_PATCH);
    fprintf(out, "  zstd %s\n", ZSTD_versionString());
    fprintf(out, "  cJSON %s\n", cJSON_Version());
    fprintf(out, "  %s%s\n", malloc_version ? "jemalloc " : "the C library's malloc",
            malloc_version ? malloc_version : "");
}

/* Which library does the AES-GCM of TLS 1.3 depends on the build and on this CPU. */
static void print_gcm(FILE *out)
{
    struct gcm_engine *engine;
    if (gcm_engine_open(&engine) != ERR_NONE) return;
    fprintf(out, "TLS records by %s %s\n", engine->kind->library, engine->kind->version());
    gcm_engine_close(engine);
}

static void print_ring(FILE *out)
{
    struct ring *ring;
    struct utsname name;
    int raw = 0;
    fprintf(out, "io_uring");
    if (uname(&name) == 0) fprintf(out, " of Linux %s", name.release);
    enum err err = ring_open(&ring, 64, 256, &raw);
    if (err != ERR_NONE) {
        fprintf(out, ": %s%s\n", err_sentence(err), err_remedy(err, raw));
        return;
    }
    const struct ring_features *features = ring_features(ring);
    const struct {
        const char *name;
        bool there;
    } rows[] = {
        {"single issuer", features->single_issuer},
        {"deferred task run", features->defer_taskrun},
        {"registered buffers", features->registered_buffers},
        {"messages between rings", features->message_ring},
        {"zero-copy send", features->send_zero_copy},
        {"truncate", features->truncate},
    };
    fprintf(out, ":\n");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        fprintf(out, "  %-24s%s\n", rows[i].name, rows[i].there ? "yes" : "no");
    fprintf(out, "  %-24s%u\n", "last opcode", features->last_opcode);
    ring_close(ring);
}

void cmd_version_print(FILE *out)
{
    fprintf(out, "argosy %s\n", ARGOSY_VERSION);
    print_libraries(out);
    print_gcm(out);
    print_ring(out);
}
