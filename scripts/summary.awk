# SPDX-License-Identifier: Apache-2.0
#
# What the demo concludes from the seconds that both ways took: `there` and `here` are the best of
# `runs` runs each, `there_worst` and `here_worst` the others. As in `vine bench`, what is shown
# decides, 5 % either way is no difference, and where the runs contradict each other, or are over
# before anything but noise can be seen, nothing is said to pay.
BEGIN {
    best = runs > 1 ? "; each way the best of " runs " runs, without syncing to the disk" : ""
    printf "    %.1f MB in, %.1f MB out%s\n", in_bytes / 1e6, out_bytes / 1e6, best
    printf "    by the appliance   %8.2f s  %8.1f MB/s\n", there, in_bytes / 1e6 / there
    printf "    in one process     %8.2f s  %8.1f MB/s\n", here, in_bytes / 1e6 / here
    ratio = there / here
    takes = sprintf("it takes %.2f times as long", ratio)
    if (there < 2 || here < 2)
        meaning = "ends too soon to tell whether it pays: " takes ",\n    and less than 2 s"
    else if (ratio <= 1.05 && ratio >= 1 / 1.05)
        meaning = "neither pays nor costs: " takes
    else if (there <= here_worst && here <= there_worst)
        meaning = "cannot be told to pay or not: " takes ",\n    but the runs contradict each other"
    else if (ratio > 1)
        meaning = "does not pay here: " takes ",\n    since both ways share the same processors"
    else
        meaning = "pays: " takes
    printf "    Offloading this tree %s.\n", meaning
}
