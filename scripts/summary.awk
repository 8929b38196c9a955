# SPDX-License-Identifier: Apache-2.0
#
# What the demo concludes from the seconds that both ways took, `there` and `here`, each the best of
# `runs` runs. As in `vine bench`, what is shown decides, and 5 % either way is no difference.
BEGIN {
    best = runs > 1 ? "; each way the best of " runs " runs, without syncing to the disk" : ""
    printf "    %.1f MB in, %.1f MB out%s\n", in_bytes / 1e6, out_bytes / 1e6, best
    printf "    by the appliance   %8.2f s  %8.1f MB/s\n", there, in_bytes / 1e6 / there
    printf "    in one process     %8.2f s  %8.1f MB/s\n", here, in_bytes / 1e6 / here
    ratio = there / here
    if (ratio > 1.05)
        meaning = "does not pay here"
    else if (ratio < 1 / 1.05)
        meaning = "pays"
    else
        meaning = "neither pays nor costs"
    why = ratio > 1.05 ? ",\n    since both ways share the same processors" : ""
    printf "    Offloading this tree %s: it takes %.2f times as long%s.\n", meaning, ratio, why
}
