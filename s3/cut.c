#include "s3/cut.h"

enum err cut_upload(struct multipart *parts, const struct conf *conf, uint64_t bytes,
                    uint64_t wish_bytes, char why[MULTIPART_WHY_BYTES])
{
    uint64_t part_bytes;
    bool combines = conf->checksum == CHECKSUM_NONE || checksum_kind_combines(conf->checksum);
    bool finds = conf->part_bytes == 0 && wish_bytes > 0;
    enum err err = multipart_choose(bytes, conf->part_bytes, &part_bytes, why);

    if (err) return err;
    if (finds && conf->unequal_parts && combines) {
        multipart_begin(parts, bytes);
        return ERR_NONE;
    }
    return multipart_cut(parts, bytes, finds ? max_u64(part_bytes, wish_bytes) : part_bytes);
}
