//! Sums of products of 16-bit integers, by the widest vectors that this CPU has. Owns how those are found; never
//! knows what is summed. All of them give the same sums.

use wide::{i16x8, i32x4};

/// Values in the widest vectors: what is multiplied comes in whole ones.
pub(super) const WIDEST: usize = 16;

/// Vectors of one width.
pub(super) trait Vectors: Copy {
    /// Values in one.
    const LANES: usize;
    /// Half as many sums of 32 bits.
    type Sums: Copy;

    fn all(self, sum: i32) -> Self::Sums;
    /// Adds the sums of two products each of the first values, which are as many as there are lanes.
    fn dot(self, values: &[i16], weights: &[i16], sums: Self::Sums) -> Self::Sums;
    /// Of each, all together.
    fn totals(self, sums: [Self::Sums; 4]) -> [i32; 4];
    /// Writes the bits of each sum from `BITS` on.
    fn shift_into<const BITS: u32>(self, sums: Self::Sums, out: &mut [i16]);
}

/// What is done with vectors of any width.
pub(super) trait Work {
    fn run<V: Vectors>(self, vectors: V);
}

/// With the widest there are.
pub(super) fn by_the_widest(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    if let Some(cpu) = pulp::x86::V3::try_new() {
        return avx2::run(cpu, work);
    }
    work.run(Narrow);
}

/// What every CPU has that this is built for.
#[derive(Clone, Copy)]
struct Narrow;

impl Vectors for Narrow {
    const LANES: usize = 8;
    type Sums = i32x4;

    #[inline(always)]
    fn all(self, sum: i32) -> i32x4 {
        i32x4::splat(sum)
    }

    #[inline(always)]
    fn dot(self, values: &[i16], weights: &[i16], sums: i32x4) -> i32x4 {
        match (values.first_chunk(), weights.first_chunk()) {
            (Some(values), Some(weights)) => sums + i16x8::new(*values).dot(i16x8::new(*weights)),
            _ => sums,
        }
    }

    #[inline(always)]
    fn totals(self, sums: [i32x4; 4]) -> [i32; 4] {
        sums.map(i32x4::reduce_add)
    }

    #[inline(always)]
    fn shift_into<const BITS: u32>(self, sums: i32x4, out: &mut [i16]) {
        for (out, sum) in out.iter_mut().zip(sums.to_array()) {
            *out = (sum >> BITS) as i16;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use bytemuck::cast;
    use pulp::x86::V3;
    use pulp::{NullaryFnOnce, i16x16, i32x8};

    use super::{Vectors, WIDEST, Work};

    pub fn run(cpu: V3, work: impl Work) {
        cpu.vectorize(Run(cpu, work));
    }

    struct Run<W>(V3, W);

    impl<W: Work> NullaryFnOnce for Run<W> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.1.run(self.0);
        }
    }

    impl Vectors for V3 {
        const LANES: usize = WIDEST;
        type Sums = i32x8;

        #[inline(always)]
        fn all(self, sum: i32) -> i32x8 {
            cast([sum; WIDEST / 2])
        }

        #[inline(always)]
        fn dot(self, values: &[i16], weights: &[i16], sums: i32x8) -> i32x8 {
            match (values.first_chunk::<WIDEST>(), weights.first_chunk::<WIDEST>()) {
                (Some(values), Some(weights)) => {
                    let (values, weights): (i16x16, i16x16) = (cast(*values), cast(*weights));
                    self.wrapping_add_i32x8(sums, self.multiply_wrapping_add_adjacent_i16x16(values, weights))
                }
                _ => sums,
            }
        }

        #[inline(always)]
        fn totals(self, [first, second, third, fourth]: [i32x8; 4]) -> [i32; 4] {
            let beside = |one: i32x8, other: i32x8| cast(self.avx2._mm256_hadd_epi32(cast(one), cast(other)));
            // Each half has the four totals of its own half.
            let halves: [i32; 8] = cast::<i32x8, _>(beside(beside(first, second), beside(third, fourth)));
            std::array::from_fn(|index| halves[index] + halves[index + 4])
        }

        #[inline(always)]
        fn shift_into<const BITS: u32>(self, sums: i32x8, out: &mut [i16]) {
            for (out, sum) in out.iter_mut().zip(cast::<_, [i32; WIDEST / 2]>(sums)) {
                *out = (sum >> BITS) as i16;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The totals of four times `values` by `weights`, and the first sums without their lowest bits.
    struct Sums<'a>(&'a [i16; WIDEST], &'a [i16; WIDEST], &'a mut ([i32; 4], [i16; WIDEST / 2]));

    impl Work for Sums<'_> {
        fn run<V: Vectors>(self, vectors: V) {
            let Self(values, weights, out) = self;
            let dot = |at: usize, start| vectors.dot(&values[at..], &weights[at..], vectors.all(start));
            let all = |start| {
                let at = (0..WIDEST).step_by(V::LANES);
                at.fold(vectors.all(start), |sums, at| vectors.dot(&values[at..], &weights[at..], sums))
            };
            out.0 = vectors.totals([all(0), all(0), all(0), all(0)]);
            for (at, out) in (0..WIDEST).step_by(V::LANES).zip(out.1.chunks_exact_mut(V::LANES / 2)) {
                vectors.shift_into::<15>(dot(at, 1 << 14), out);
            }
        }
    }

    proptest! {
        #[test]
        fn vectors_of_every_width_give_the_same_sums(
            values in prop::array::uniform16(-20_000i16..20_000), weights in prop::array::uniform16(-9000i16..9000),
        ) {
            let products: Vec<i32> =
                values.iter().zip(weights).map(|(value, weight)| i32::from(*value) * i32::from(weight)).collect();
            let shifted = |pair: &[i32]| ((pair[0] + pair[1] + (1 << 14)) >> 15) as i16;
            let pairs: Vec<i16> = products.chunks(2).map(shifted).collect();
            let (mut narrow, mut widest) = Default::default();
            Sums(&values, &weights, &mut narrow).run(Narrow);
            by_the_widest(Sums(&values, &weights, &mut widest));
            for (totals, sums) in [narrow, widest] {
                prop_assert_eq!(totals, [products.iter().sum::<i32>(); 4]);
                prop_assert_eq!(&sums[..], &pairs);
            }
        }
    }
}
