#include "tools/stowage_select.h"

#include <stdio.h>

_Static_assert(STOWAGE_OPERATION_COUNT <= 32, "the operations of a rule are the bits of a word");

/* One star at a time is gone back to, the newest: quadratic at worst, and no recursion. */
bool stowage_select_glob(struct bytes glob, struct bytes text)
{
    size_t g = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.count) {
        if (g < glob.count && glob.data[g] == '*') {
            star = g++;
            star_text = t;
        } else if (g < glob.count && (glob.data[g] == '?' || glob.data[g] == text.data[t])) {
            g++;
            t++;
        } else if (star != SIZE_MAX) {
            g = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (g < glob.count && glob.data[g] == '*')
        g++;
    return g == glob.count;
}

static struct bytes lower(struct bytes text, char *area, size_t area_bytes)
{
    struct writer w;
    writer_init(&w, area, area_bytes);
    for (size_t i = 0; i < text.count; i++)
        writer_char(&w, text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] | 0x20)
                                                                   : text.data[i]);
    return writer_bytes(&w);
}

static bool parse_operations(struct bytes list, uint32_t *operations)
{
    char word_area[64], name_area[64];
    while (list.count) {
        struct bytes word = bytes_cut(list, ',', &list);
        struct bytes glob = lower(word, word_area, sizeof(word_area));
        uint32_t found = 0;
        for (uint32_t i = 0; i < STOWAGE_OPERATION_COUNT; i++) {
            struct bytes name = bytes_of(stowage_route_name((enum stowage_operation)i));
            if (stowage_select_glob(glob, lower(name, name_area, sizeof(name_area))))
                found |= 1u << i;
        }
        if (!found || glob.count != word.count) return false;
        *operations |= found;
    }
    return *operations != 0;
}

bool stowage_select_parse_range(struct bytes text, struct stowage_select_range *range)
{
    struct bytes to, from = bytes_cut(text, '-', &to);
    if (!bytes_parse_u64(from, &range->first) || range->first == 0) return false;
    range->last = range->first;
    bool single = from.count == text.count;
    return single || (bytes_parse_u64(to, &range->last) && range->last >= range->first);
}

bool stowage_select_in(const struct stowage_select_range *range, uint64_t number)
{
    return range->last == 0 || (number >= range->first && number <= range->last);
}

enum stowage_select_word stowage_select_parse(struct stowage_select *select, struct bytes name,
                                              struct bytes value,
                                              char why[STOWAGE_SELECT_WHY_BYTES])
{
    bool good;
    const char *like;
    if (bytes_equal(name, BYTES("op"))) {
        good = parse_operations(value, &select->operations);
        like = "names of S3 operations, such as PutObject,*Upload*";
    } else if (bytes_equal(name, BYTES("bucket"))) {
        good = value.count && bytes_to_string(value, select->bucket, sizeof(select->bucket));
        like = "a pattern";
    } else if (bytes_equal(name, BYTES("key"))) {
        good = value.count && bytes_to_string(value, select->key, sizeof(select->key));
        like = "a pattern";
    } else if (bytes_equal(name, BYTES("part"))) {
        good = stowage_select_parse_range(value, &select->part);
        like = "a part number, or two with '-'";
    } else {
        return STOWAGE_SELECT_OTHER;
    }
    if (good) return STOWAGE_SELECT_TAKEN;
    snprintf(why, STOWAGE_SELECT_WHY_BYTES, "%.*s= wants %s", (int)name.count, name.data, like);
    return STOWAGE_SELECT_WRONG;
}

bool stowage_select_fits(const struct stowage_select *select, enum stowage_operation operation,
                         struct bytes bucket, struct bytes key, uint32_t part_number)
{
    if (select->operations && !(select->operations & (1u << operation))) return false;
    if (select->bucket[0] && !stowage_select_glob(bytes_of(select->bucket), bucket)) return false;
    if (select->key[0] && !stowage_select_glob(bytes_of(select->key), key)) return false;
    return stowage_select_in(&select->part, part_number);
}
