/* bodies: what clients send to stowage. The first byte chooses: aws-chunked text, which gives the
 * same payload and verdict however it is cut; XML, whose events stay within the input and nest; or
 * a range, which stays within its object. */
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "tools/stowage_chunk.h"
#include "tools/stowage_route.h"
#include "tools/stowage_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

/* Decodes in pieces of `piece` bytes; the payload, gathered in place, to *payload_count. */
static enum stowage_error decode(char *text, size_t count, size_t piece, size_t *payload_count,
                                 bool *done)
{
    static struct stowage_chunk chunk;
    enum stowage_error error = STOWAGE_ERROR_NONE;
    *payload_count = 0;
    stowage_chunk_init(&chunk, NULL);
    for (size_t at = 0; at < count && !error; at += piece) {
        uint32_t payload, bytes = (uint32_t)(count - at < piece ? count - at : piece);
        error = stowage_chunk_decode(&chunk, text + at, bytes, &payload);
        CHECK(payload <= bytes);
        memmove(text + *payload_count, text + at, payload);
        *payload_count += payload;
    }
    *done = chunk.done;
    return error;
}

static void check_chunks(const uint8_t *data, size_t count)
{
    char *whole = malloc(count + 1), *pieces = malloc(count + 1);
    size_t whole_count, pieces_count;
    bool whole_done, pieces_done;
    memcpy(whole, data, count);
    memcpy(pieces, data, count);
    enum stowage_error first = decode(whole, count, count + 1, &whole_count, &whole_done);
    enum stowage_error second = decode(pieces, count, 3, &pieces_count, &pieces_done);
    CHECK(first == second);
    CHECK(whole_done == pieces_done);
    CHECK(first || whole_count == pieces_count);
    CHECK(first || !memcmp(whole, pieces, whole_count));
    free(whole);
    free(pieces);
}

static void check_xml(const uint8_t *data, size_t count)
{
    struct stowage_xml_reader reader;
    char *input = malloc(count ? count : 1);
    uint32_t depth = 0;
    memcpy(input, data, count);
    stowage_xml_reader_init(&reader, input, count);
    for (;;) {
        enum stowage_xml_event event = stowage_xml_read(&reader);
        if (event == STOWAGE_XML_END || event == STOWAGE_XML_BAD) break;
        depth += event == STOWAGE_XML_OPEN ? 1 : -1u;
        CHECK(reader.depth == depth);
        CHECK(reader.name.data >= input && reader.name.data + reader.name.count <= input + count);
        CHECK(reader.text.count <= count);
    }
    free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    uint64_t first, bytes;
    if (!count || count > 65536) return 0;
    if (data[0] == 'x') check_xml(data + 1, count - 1);
    if (data[0] == 'c') check_chunks(data + 1, count - 1);
    struct bytes range = {(const char *)data + 1, count - 1};
    if (data[0] == 'r' && stowage_route_range(range, 1000, &first, &bytes))
        CHECK(bytes && first < 1000 && bytes <= 1000 - first);
    return 0;
}
