//! A vector, a map and boxes on one heap, which cuts each block as its layout wants it.
//!
//! `cargo run --example containers`

use std::alloc::Layout;

use allotrope::OsPages;
use allotrope::prelude::*;

/// A station, and what was measured there.
struct Station<'h> {
    name: Box<[u8], &'h LocalHeap>,
    readings: Vec<f32, &'h LocalHeap>,
}

const NAMES: [&str; 4] = ["Ararat", "Bern", "Cusco", "Drammen"];

fn main() {
    let heap = LocalHeap::new(OsPages::new());

    // The heap is borrowed, so that it outlives all that lies in it.
    let mut stations: HashMap<u32, Box<Station<'_>, &LocalHeap>, _, _> = HashMap::new_in(&heap);
    for (number, name) in (0..).zip(NAMES) {
        let mut bytes = Vec::new_in(&heap);
        bytes.extend_from_slice(name.as_bytes());
        let station = Station { name: bytes.into_boxed_slice(), readings: Vec::new_in(&heap) };
        stations.insert(number, Box::new_in(station, &heap));
    }
    for reading in 0..1_000_000_u32 {
        // Most come from the last station: its vector grows through all that the heap has.
        let number = (reading % 100).min(3);
        if let Some(station) = stations.get_mut(&number) {
            station.readings.push(reading as f32);
        }
    }

    let last = &stations[&3];
    assert_eq!((&*last.name, last.readings.len()), (&b"Drammen"[..], 970_000));
    println!("a box of a station:    {}", heap.explain(Layout::for_value(&**last)));
    for number in [0, 3] {
        let station = &stations[&number];
        let layout = Layout::array::<f32>(station.readings.capacity()).expect("a layout");
        let name = String::from_utf8_lossy(&station.name);
        println!("readings of {name:<10} {}", heap.explain(layout));
    }
    println!("\n{}", heap.stats());

    // What is dropped is free again, and `trim` gives it back.
    drop(stations);
    let held = heap.bytes_held();
    heap.trim();
    println!("all is dropped: {} bytes in use, of {held} held", heap.bytes_used());
    println!("trimmed: {} bytes held", heap.bytes_held());
    assert_eq!(heap.bytes_used(), 0);
    assert!(heap.bytes_held() <= held);
}
