//! Cuts of lanes whose stamps the test chooses.

use super::*;

fn log() -> LaneLog<u64> {
    Lanes::make(&Setup { retain: std::num::NonZeroU64::MIN, tailers: 0 })
}

/// Publishes a record with a stamp of the test's choice.
fn publish(writer: &mut Writer<'_, u64>, stamp: u64) {
    // SAFETY: the lane is this writer's own; the slot is new.
    unsafe {
        writer.lane.write(writer.len, stamp);
        writer.lane.stamp(writer.len..writer.len + 1, stamp);
    }
    writer.len += 1;
    writer.lane.publish(writer.len);
}

fn shown(log: &LaneLog<u64>) -> Vec<u64> {
    let (mut ends, mut shown) = (Vec::new(), Vec::new());
    log.cut(&mut ends);
    log.merge(&mut Vec::new(), &ends, |record| shown.push(*record));
    shown
}

#[test]
fn what_is_stamped_behind_the_readers_look_is_not_shown() {
    let log = log();
    let mut writer = log.writer();
    let now = now();
    publish(&mut writer, now);
    for later in [now + (1 << 50), now + (1 << 51), now + (1 << 52)] {
        publish(&mut writer, later);
    }
    assert_eq!(shown(&log), [now]);
}

#[test]
fn a_writer_that_is_about_to_publish_hides_what_may_come_behind_it() {
    let log = log();
    let (mut one, mut other) = (log.writer(), log.writer());
    for stamp in [10, 20, 30, 40] {
        publish(&mut one, stamp);
    }
    publish(&mut other, 15);
    other.lane.announce(20);
    assert_eq!(shown(&log), [10, 15, 20]);
    publish(&mut other, 25);
    assert_eq!(shown(&log), [10, 15, 20, 25, 30, 40]);
}

#[test]
fn a_lane_goes_on_where_its_last_owner_stopped() {
    let log = log();
    let late = now() + (1 << 40);
    publish(&mut log.writer(), late);
    log.writer().append(7);
    // SAFETY: both are published.
    let stamps = [0, 1].map(|number| unsafe { log.lanes[0].stamp_of(number) });
    assert_eq!(stamps, [late, late + 1]);
}
