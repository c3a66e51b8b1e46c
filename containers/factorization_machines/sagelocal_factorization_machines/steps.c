/* A step of training in C, for `compiled.py`: the gradients of a batch, and Adam.

   A feature's factors lie beside one another, and a row's entries are few: going entry by entry
   there is no table to be laid out. Nothing is checked here. */

#include <math.h>
#include <stdint.h>
#include <string.h>

/* On glibc, a version for each kind of vector unit is compiled, and the machine's own is taken. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EVERY_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EVERY_MACHINE
#endif

/* How many features the batch touches: `touched` has them, `linear_slopes` (touched) and
   `factor_slopes` (touched x width) their gradients, `scores` (rows) and `bias_slope` (1) the rest.
   `places` has -1 for every feature, before and after. `sums` has room for `width` numbers. */
FOR_EVERY_MACHINE
int64_t gradients(int64_t rows, int64_t width, int32_t is_binary, double scale,
                  const int64_t *restrict batch, const int64_t *restrict indptr,
                  const int64_t *restrict keys, const float *restrict values,
                  const double *restrict labels, const float *restrict bias,
                  const float *restrict linear, const float *restrict factors,
                  int32_t *restrict places, float *restrict sums, int64_t *restrict touched,
                  float *restrict bias_slope, float *restrict linear_slopes,
                  float *restrict factor_slopes, double *restrict scores)
{
    int64_t count = 0;
    double slope = 0;
    for (int64_t number = 0; number < rows; number++) {
        const int64_t begin = indptr[batch[number]], end = indptr[batch[number] + 1];
        double raw = bias[0];
        float squares = 0, squared_sums = 0;
        memset(sums, 0, (size_t)width * sizeof(float));
        for (int64_t entry = begin; entry < end; entry++) {
            const float value = values[entry], *own = factors + keys[entry] * width;
            raw += (double)linear[keys[entry]] * value;
#pragma omp simd reduction(+ : squares)
            for (int64_t i = 0; i < width; i++) {
                const float part = own[i] * value;
                sums[i] += part;
                squares += part * part;
            }
        }
#pragma omp simd reduction(+ : squared_sums)
        for (int64_t i = 0; i < width; i++)
            squared_sums += sums[i] * sums[i];
        raw += ((double)squared_sums - squares) / 2;
        scores[number] = is_binary ? 1 / (1 + exp(raw > 80 ? -80 : raw < -80 ? 80 : -raw)) : raw;
        /* Of the cross entropy and of half the square alike. */
        const float error = (float)((scores[number] - labels[number]) * scale);
        slope += error;
        for (int64_t entry = begin; entry < end; entry++) {
            const int64_t key = keys[entry];
            const float value = values[entry], weight = value * error, *own = factors + key * width;
            if (places[key] < 0) {
                places[key] = (int32_t)count;
                touched[count] = key;
                linear_slopes[count] = 0;
                memset(factor_slopes + count * width, 0, (size_t)width * sizeof(float));
                count++;
            }
            float *slopes = factor_slopes + (int64_t)places[key] * width;
            linear_slopes[places[key]] += weight;
#pragma omp simd
            for (int64_t i = 0; i < width; i++)
                slopes[i] += weight * (sums[i] - own[i] * value);
        }
    }
    *bias_slope = (float)slope;
    for (int64_t number = 0; number < count; number++)
        places[touched[number]] = -1;
    return count;
}

/* One step of these rows, as `Adam.step` describes it; `limit` is infinite where nothing is cut. */
FOR_EVERY_MACHINE
void adam(int64_t count, int64_t width, float rate, float decay, float epsilon, float limit,
          float first, float second, const int64_t *restrict rows, const float *restrict slopes,
          float *restrict values, float *restrict means, float *restrict squares)
{
    for (int64_t number = 0; number < count; number++) {
        const float *slope = slopes + number * width;
        float *value = values + rows[number] * width;
        float *mean = means + rows[number] * width, *square = squares + rows[number] * width;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) {
            float cut = slope[i] > limit ? limit : slope[i];
            cut = cut < -limit ? -limit : cut;
            const float whole = cut + decay * value[i];
            mean[i] = first * mean[i] + (1 - first) * whole;
            square[i] = second * square[i] + (1 - second) * (whole * whole);
            value[i] -= rate * mean[i] / (sqrtf(square[i]) + epsilon);
        }
    }
}
