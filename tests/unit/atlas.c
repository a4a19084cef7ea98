/* Where buckets turned out to be, as several threads put it and look it up at once. */
#include "s3/atlas.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint endpoint_of(const char *host, const char *region)
{
    struct endpoint endpoint = {.port = 443, .tls = true, .addressing = ADDRESSING_PATH};
    snprintf(endpoint.host, sizeof endpoint.host, "%s", host);
    snprintf(endpoint.region, sizeof endpoint.region, "%s", region);
    return endpoint;
}

static void test_homes(void **state)
{
    static struct atlas atlas;
    struct endpoint one = endpoint_of("one", "r"), two = endpoint_of("two", "r"), other = one;
    (void)state;
    assert_int_equal(atlas_home(&atlas, BYTES("bucket")), 0);
    assert_int_equal(atlas_put(&atlas, BYTES("bucket"), &one), ATLAS_ADDED);
    assert_int_equal(atlas_put(&atlas, BYTES("bucket"), &one), ATLAS_KNOWN);
    assert_int_equal(atlas_home(&atlas, BYTES("bucket")), 1);
    assert_int_equal(atlas_home(&atlas, BYTES("bucke")), 0); /* others stay where they are */
    assert_int_equal(atlas_home(&atlas, BYTES("")), 0);
    assert_int_equal(atlas_put(&atlas, BYTES(""), &two), ATLAS_ADDED);
    assert_int_equal(atlas_home(&atlas, BYTES("")), 2);
    assert_int_equal(atlas_put(&atlas, BYTES("bucket"), &two), ATLAS_ADDED);
    assert_int_equal(atlas_home(&atlas, BYTES("bucket")), 3);
    assert_string_equal(atlas_site(&atlas, 1)->host, "one");
    assert_string_equal(atlas_site(&atlas, 3)->host, "two");
    snprintf(other.region, sizeof other.region, "s");
    assert_int_equal(atlas_put(&atlas, BYTES("bucket"), &other), ATLAS_ADDED);
    for (uint32_t i = atlas_count(&atlas); i < ATLAS_SITES_MAX; i++)
        assert_int_equal(atlas_put(&atlas, BYTES("bucket"), i % 2 ? &one : &two), ATLAS_ADDED);
    assert_int_equal(atlas_put(&atlas, BYTES("bucket"), &other), ATLAS_FULL);
    assert_int_equal(atlas_home(&atlas, BYTES("bucket")), ATLAS_SITES_MAX);
}

static void test_same(void **state)
{
    struct endpoint a = endpoint_of("h", "r"), b = a;
    (void)state;
    assert_true(atlas_is_same(&a, &b));
    b.port = 80;
    assert_false(atlas_is_same(&a, &b));
    b = a;
    b.tls = false;
    assert_false(atlas_is_same(&a, &b));
    b = a;
    b.addressing = ADDRESSING_VIRTUAL;
    assert_false(atlas_is_same(&a, &b));
}

struct shared {
    struct atlas atlas;
    _Atomic uint32_t added, broken;
};

/* Host and region say the same letter all through: half a site would not. */
static void check_site(struct shared *s, const struct endpoint *site)
{
    size_t count = strlen(site->host);
    bool whole = count == 200 && strspn(site->host, (char[]){site->host[0], 0}) == count &&
                 site->region[0] == site->host[0];
    if (!whole) atomic_fetch_add(&s->broken, 1);
}

static void *move_it(void *argument)
{
    struct shared *s = argument;
    for (int i = 0; i < 2000; i++) {
        char host[201], region[2] = {(char)('a' + i % 26), 0};
        memset(host, region[0], 200);
        host[200] = 0;
        struct endpoint to = endpoint_of(host, region);
        uint32_t home = atlas_home(&s->atlas, BYTES("bucket"));
        if (home) check_site(s, atlas_site(&s->atlas, home));
        if (atlas_put(&s->atlas, BYTES("bucket"), &to) == ATLAS_ADDED)
            atomic_fetch_add(&s->added, 1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    static struct shared s;
    pthread_t threads[4];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, move_it, &s), 0);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(s.added, ATLAS_SITES_MAX);
    assert_int_equal(atlas_count(&s.atlas), ATLAS_SITES_MAX);
    assert_int_equal(s.broken, 0);
    for (uint32_t number = 1; number <= ATLAS_SITES_MAX; number++)
        check_site(&s, atlas_site(&s.atlas, number));
    assert_int_equal(s.broken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_homes),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("atlas", tests, NULL, NULL);
}
