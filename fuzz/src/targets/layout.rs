//! Layout arithmetic against the same in 128 bits, where nothing overflows.
//!
//! The source is that of `allotrope-core`, compiled here as a module of our own: no name of it is
//! public.

#![forbid(unsafe_code)]

use std::alloc::Layout;
use std::collections::BTreeSet;

use crate::calls::Verdict;
use crate::input::Input;
use crate::layout::affix::Affixed;
use crate::layout::area::{Geometry, WORD, edges_size};
use crate::layout::bins::{BINS, BinMap, bin_of};
use crate::layout::granule::{self, GRANULE_SIZE, MAX_BLOCK, MAX_GRANULES};
use crate::layout::size_class::SizeClass;
use crate::layout::{powers, uniform};

/// Runs the target on `bytes`.
///
/// # Errors
///
/// None: what is wrong is an assertion that fails.
pub fn run(bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    match input.below(9) {
        0 => granules(&mut input),
        1 => bins(&mut input),
        2 => map_of_bins(&mut input),
        3 => areas(&mut input),
        4 => classes_of_powers(&mut input),
        5 => chunks_of_powers(&mut input),
        6 => size_classes(&mut input),
        7 => uniform_chunks(&mut input),
        _ => affixes(&mut input),
    }
    Ok(())
}

/// A number of any magnitude, often beside a power of two.
fn number(input: &mut Input<'_>) -> usize {
    let shift = input.below(64);
    let offset = usize::from(input.byte() & 15);
    let number = if input.byte() & 1 == 0 { 1 << shift } else { input.word() as usize >> shift };
    number.wrapping_add(offset).wrapping_sub(8)
}

fn layout(input: &mut Input<'_>) -> Layout {
    let size = number(input);
    let align = 1 << input.below(usize::BITS as usize);
    let smaller = || Layout::from_size_align(size & 0xffff, 16);
    Layout::from_size_align(size, align).or_else(|_| smaller()).expect("16 bits and 16 bytes fit")
}

fn round_up(number: u128, multiple: u128) -> u128 {
    number.div_ceil(multiple) * multiple
}

fn granules(input: &mut Input<'_>) {
    let (size, more) = (number(input), number(input));
    let align = 1 << input.below(usize::BITS as usize);
    let rounded = round_up(size as u128, GRANULE_SIZE as u128);
    let fits = size > 0 && rounded / GRANULE_SIZE as u128 <= u128::from(MAX_GRANULES);
    let expected = fits.then_some((rounded / GRANULE_SIZE as u128) as u32);
    assert_eq!(granule::granules_for(size), expected, "{size}");
    assert!(size > MAX_BLOCK || size == 0 || expected.is_some(), "{size}");

    let extent = granule::extent(size, align);
    let aligns = granule::granules_of_align(align);
    assert_eq!(aligns.is_some(), align as u128 / 16 <= u128::from(MAX_GRANULES / 2), "{align}");
    let expected = (size == 0 || fits && aligns.is_some()).then_some(rounded as usize);
    assert_eq!(extent, expected, "{size} {align}");
    if let Some(extent) = extent {
        assert_eq!(granule::extent(extent, align), Some(extent), "{size} {align}");
        let larger = granule::extent(size.saturating_add(more), align);
        assert!(larger.is_none_or(|larger| larger >= extent), "{size} {more} {align}");
    }

    let (phase, block) = (number(input) as u32, number(input) as u32);
    let align = 1 << input.below(31);
    let padding = granule::padding(phase, block, align);
    let place = u128::from(phase) + u128::from(block) + u128::from(padding);
    assert!(padding < align && place.is_multiple_of(u128::from(align)), "{phase} {block} {align}");
}

fn bins(input: &mut Input<'_>) {
    let granules = (number(input) as u32).clamp(1, MAX_GRANULES);
    let expected = if granules < 64 {
        u128::from(granules)
    } else {
        let doubling = granules.ilog2();
        let step = ((u128::from(granules) * 16) >> doubling) - 16;
        u128::from(64 + (doubling - 6) * 16) + step
    };
    assert_eq!(u128::from(bin_of(granules)), expected, "{granules}");
    assert!((bin_of(granules) as usize) < BINS, "{granules}");
}

fn map_of_bins(input: &mut Input<'_>) {
    let (mut map, mut model) = (BinMap::new(), BTreeSet::new());
    while !input.is_empty() {
        let bin = (input.short() % BINS) as u32;
        if input.byte() & 1 == 0 {
            if bin < 64 {
                map.insert_exact(bin)
            } else {
                map.insert_stepped(bin)
            }
            model.insert(bin);
        } else {
            if bin < 64 {
                map.remove_exact(bin)
            } else {
                map.remove_stepped(bin)
            }
            model.remove(&bin);
        }
        let from = (input.short() % (BINS + 2)) as u32;
        assert_eq!(map.first_from(from), model.range(from..).next().copied(), "{from} {model:?}");
        assert_eq!(map.first_stepped(), model.range(64..).next().copied(), "{model:?}");
        if (64..BINS as u32).contains(&from) {
            let above = model.range(from + 1..).next().copied();
            assert_eq!(map.first_above(from), above, "{from} {model:?}");
        }
        assert_eq!(map.last(), model.last().copied(), "{model:?}");
        assert_eq!(map.contains(bin), model.contains(&bin), "{bin} {model:?}");
    }
}

fn areas(input: &mut Input<'_>) {
    let size = number(input) & (isize::MAX as usize);
    let start = number(input).min(usize::MAX - size).max(1);
    let header_size = input.short();
    let word = |address: u128| round_up(address, WORD as u128);
    // Where the granules start, and where they end, if there are so many.
    let ends = |granules: u32| {
        let edges = word(start as u128) + word(header_size as u128);
        let first = round_up(edges + edges_size(granules) as u128, GRANULE_SIZE as u128);
        (first, first + u128::from(granules) * GRANULE_SIZE as u128)
    };
    let behind = start as u128 + size as u128;
    match Geometry::new(start, size, header_size) {
        None => assert!(ends(1).1 > behind, "{start} {size} {header_size}"),
        Some(area) => {
            let place = |offset: usize| start as u128 + offset as u128;
            assert_eq!(place(area.header), word(start as u128));
            assert_eq!(place(area.edges), place(area.header) + word(header_size as u128));
            let (first, last) = ends(area.capacity);
            assert_eq!(place(area.granules), first, "{start} {size} {header_size}");
            assert!(area.capacity > 0 && last <= behind, "{start} {size} {header_size}");
            let is_most = area.capacity == MAX_GRANULES || ends(area.capacity + 1).1 > behind;
            assert!(is_most, "{start} {size} {header_size}: {area:?}");
        }
    }

    let granules = (number(input) as u32).max(1);
    let enough = Geometry::region_size(granules, header_size);
    assert_eq!(enough.is_some(), granules <= MAX_GRANULES, "{granules}");
    if let Some(size) = enough {
        let start = start.min(usize::MAX - size);
        let area = Geometry::new(start, size, header_size);
        assert!(area.is_some_and(|area| area.capacity >= granules), "{granules} {start}");
    }
}

fn classes_of_powers(input: &mut Input<'_>) {
    let layout = layout(input);
    let needed = (layout.size().max(layout.align()).max(16) as u128).next_power_of_two();
    let class = powers::class_of(layout);
    assert_eq!(class.is_some(), needed <= powers::MAX_BLOCK as u128, "{layout:?}");
    if let Some(class) = class {
        assert!(class < powers::CLASSES, "{layout:?}");
        assert_eq!(powers::block_size(class) as u128, needed, "{layout:?}");
    }
}

fn chunks_of_powers(input: &mut Input<'_>) {
    let class = input.below(powers::CLASSES);
    let chunk_size = 256 << input.below(9);
    let (head_size, word_size) = (input.below(200), input.below(16));
    let block_size = powers::block_size(class);
    let words = (chunk_size / block_size).div_ceil(powers::WORD_BLOCKS);
    let head_end = head_size + words * word_size;
    let is_whole = |block: usize| {
        let start = block * block_size;
        start >= head_end && start + block_size <= chunk_size
    };
    let all = words * powers::WORD_BLOCKS;
    let count = (0..all).filter(|&block| is_whole(block)).count();
    let blocks = powers::Blocks::new(class, chunk_size, head_size, word_size);
    assert_eq!(blocks.map_or(0, |blocks| blocks.count()), count, "{class} {chunk_size}");
    if let Some(blocks) = blocks {
        assert_eq!(blocks.words, words, "{class} {chunk_size}");
        for block in 0..all {
            let bits = blocks.bits(block / powers::WORD_BLOCKS);
            let bit = bits >> (block % powers::WORD_BLOCKS) & 1 == 1;
            assert_eq!(bit, is_whole(block), "{class} {chunk_size} {head_size} {word_size}");
        }
    }

    let region = number(input);
    let least = 256 << input.below(4);
    let best = least << input.below(6);
    let size = powers::chunk_size_in(region, best, least);
    assert_eq!(size.is_some(), region >= least, "{region} {best} {least}");
    if let Some(size) = size {
        assert!(size.is_power_of_two(), "{region} {best} {least}");
        assert!((least..=best).contains(&size) && size <= region, "{region} {best} {least}");
        let several = size == least || size as u128 * 4 <= region as u128;
        assert!(several, "{region} {best} {least}: {size}");
    }
}

fn size_classes(input: &mut Input<'_>) {
    let layout = layout(input);
    let limit = SizeClass::at(input.below(SizeClass::COUNT)).block_size();
    let serves = |class: &SizeClass| {
        let size = class.block_size();
        size >= layout.size() && size.is_multiple_of(layout.align()) && size <= limit
    };
    let expected = (0..SizeClass::COUNT).map(SizeClass::at).find(serves);
    let expected = expected.filter(|_| layout.size() > 0);
    assert_eq!(SizeClass::for_layout(layout, limit), expected, "{layout:?} {limit}");
    if let Some(class) = expected {
        let returned = Layout::from_size_align(class.block_size(), layout.align());
        let again = SizeClass::for_layout(returned.expect("a block size is small"), limit);
        assert_eq!(again, Some(class), "{layout:?} {limit}");
    }
}

fn uniform_chunks(input: &mut Input<'_>) {
    let block_size = uniform::block_size((number(input) & 0xff_ffff).max(1));
    let align = uniform::natural_align(block_size);
    assert!(align.is_power_of_two() && block_size.is_multiple_of(align) && align <= 4096);
    let align = align << input.below(8);
    let (blocks, head_size) = (number(input), 8 * input.below(32));
    // A chunk starts at a multiple of a granule.
    let before = (head_size + 15 + align - 1) as u128 & !15;
    let exact = blocks as u128 * block_size as u128 + before;
    let size = uniform::chunk_size(blocks, block_size, align, head_size);
    assert_eq!(size.map(|size| size as u128), usize::try_from(exact).ok().map(|_| exact));

    let start = number(input) & !15 & (isize::MAX as usize);
    let size = size.unwrap_or(blocks).min(isize::MAX as usize);
    let (first, held) = uniform::blocks_in(start, size, block_size, align, head_size);
    assert!(first >= head_size && first < head_size + align, "{start} {align} {head_size}");
    assert!((start + first).is_multiple_of(align), "{start} {align} {head_size}");
    let end = first as u128 + held as u128 * block_size as u128;
    assert!(held == 0 || end <= size as u128, "{start} {size} {block_size} {align}");
    if exact <= isize::MAX as u128 {
        assert!(held >= blocks, "{start} {size} {block_size} {align}: {held}");
    }

    let limit = number(input) & 0xff_ffff;
    let most = uniform::blocks_per_chunk(limit, block_size, align, head_size);
    let fits = |blocks: usize| blocks as u128 * block_size as u128 + before <= limit as u128;
    assert!(most == 1 || fits(most), "{limit} {block_size} {align}");
    assert!(!fits(most + 1), "{limit} {block_size} {align}");
}

fn affixes(input: &mut Input<'_>) {
    let [block, prefix, suffix] = [layout(input), layout(input), layout(input)];
    let align = block.align().max(prefix.align()).max(suffix.align());
    let start = round_up(prefix.size() as u128, block.align().max(prefix.align()) as u128);
    let behind = round_up(start + block.size() as u128, suffix.align() as u128);
    let size = behind + suffix.size() as u128;
    let fits = round_up(size, align as u128) <= isize::MAX as u128;
    let affixed = Affixed::new(block, prefix, suffix);
    assert_eq!(affixed.is_some(), fits, "{block:?} {prefix:?} {suffix:?}");
    if let Some(affixed) = affixed {
        let found = [affixed.block, affixed.suffix, affixed.outer.size(), affixed.outer.align()];
        let expected = [start, behind, size, align as u128];
        assert_eq!(found.map(|figure| figure as u128), expected, "{block:?} {prefix:?} {suffix:?}");
    }
}
