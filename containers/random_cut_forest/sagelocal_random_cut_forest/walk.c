/* The walks of rows down trees: the sums that forest.py describes, for `compiled.py`.

   A tree's boxes lie beside one another and fit into a processor's cache, so the trees are the outer
   loop. Numbers are as in `Cuts` and `Forest`; nothing is checked here. */

#include <float.h>
#include <math.h>
#include <stdint.h>

/* On glibc, a version for each kind of vector unit is compiled, and the machine's own is taken. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EVERY_MACHINE
#endif

FOR_EVERY_MACHINE
void sums(int64_t rows, int64_t width, int64_t trees, double size, const float *restrict values,
          const int32_t *restrict roots, const int32_t *restrict dimensions,
          const float *restrict places, const int32_t *restrict children,
          const float *restrict points, const int32_t *restrict masses,
          const float *restrict lows, const float *restrict highs,
          const double *restrict lengths, double *restrict totals)
{
    for (int64_t tree = 0; tree < trees; tree++) {
        for (int64_t number = 0; number < rows; number++) {
            const float *row = values + number * width;
            double remaining = 1, score = 0;
            int64_t node = roots[tree], depth = 0;
            for (; node >= 0; depth++) {
                const float *low = lows + node * width, *high = highs + node * width;
                float outside = 0;
#pragma omp simd reduction(+ : outside)
                for (int64_t i = 0; i < width; i++) {
                    float above = row[i] - high[i], below = low[i] - row[i];
                    float far = above > below ? above : below;
                    outside += far > 0 ? far : 0;
                }
                double length = outside < FLT_MAX ? outside : FLT_MAX;
                double cut_off = remaining * (length / (length + lengths[node]));
                score += cut_off / (double)(depth + 1);
                remaining -= cut_off;
                node = children[2 * node + (row[dimensions[node]] > places[node])];
            }
            const float *point = points + (-1 - node) * width;
            int differs = 0;
            for (int64_t i = 0; i < width; i++)
                differs |= row[i] != point[i];
            if (differs) {
                score += remaining / (double)(depth + 1);
            } else {
                double mass = masses[-1 - node];
                score += remaining * (1 - mass / (2 * size)) / ((double)depth + log2(mass + 1));
            }
            totals[number] += score;
        }
    }
}
