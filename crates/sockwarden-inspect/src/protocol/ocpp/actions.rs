//! The actions of OCPP: who calls them, and in which versions.

use sockwarden_model::Direction;

/// A version, as the sub-protocol's token names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 1.6 with its security extension.
    One,
    /// 2.0 and 2.0.1.
    Two,
    /// 2.1.
    Latest,
}

impl Version {
    /// Gives the version that a token names.
    pub(super) fn of(token: &str) -> Option<Self> {
        let is = |name: &str| token.eq_ignore_ascii_case(name);
        if is("ocpp1.6") {
            Some(Self::One)
        } else if is("ocpp2.0") || is("ocpp2.0.1") {
            Some(Self::Two)
        } else {
            is("ocpp2.1").then_some(Self::Latest)
        }
    }
}

/// What is known of an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called {
    /// The side that calls it; either one where there is none.
    sender: Option<Direction>,
    versions: &'static [Version],
}

impl Called {
    /// Finds an action by its name.
    pub(super) fn named(action: &str) -> Option<Self> {
        // Ids and actions come from a peer: what is compared is bounded by the table.
        let row = ACTIONS.iter().find(|(name, ..)| *name == action)?;
        Some(Self { sender: row.1, versions: row.2 })
    }

    /// Tells whether a version has it; any does where the version is not known.
    pub(super) fn is_in(self, version: Option<Version>) -> bool {
        version.is_none_or(|version| self.versions.contains(&version))
    }

    /// Tells whether this side may call it.
    pub(super) fn is_of(self, side: Direction) -> bool {
        self.sender.is_none_or(|sender| sender == side)
    }

    /// Tells whether only a charging station calls it.
    pub(super) fn is_of_station(self) -> bool {
        self.sender == STATION
    }
}

const STATION: Option<Direction> = Some(Direction::Client);
const SYSTEM: Option<Direction> = Some(Direction::Server);

const ALL: &[Version] = &[Version::One, Version::Two, Version::Latest];
const ONE: &[Version] = &[Version::One];
const TWO: &[Version] = &[Version::Two, Version::Latest];
const LATEST: &[Version] = &[Version::Latest];

/// Every action; of `NotifyWebPaymentStarted` readers of the specification differ on who calls it. 1.6 §4 and §5 with the security extension, 2.0.1 and 2.1 part 2.
#[rustfmt::skip]
static ACTIONS: [(&str, Option<Direction>, &[Version]); 102] = [
    ("Authorize", STATION, ALL),
    ("BatterySwap", STATION, LATEST),
    ("BootNotification", STATION, ALL),
    ("ClearedChargingLimit", STATION, TWO),
    ("ClosePeriodicEventStream", STATION, LATEST),
    ("DiagnosticsStatusNotification", STATION, ONE),
    ("FirmwareStatusNotification", STATION, ALL),
    ("Get15118EVCertificate", STATION, TWO),
    ("GetCertificateChainStatus", STATION, LATEST),
    ("GetCertificateStatus", STATION, TWO),
    ("Heartbeat", STATION, ALL),
    ("LogStatusNotification", STATION, ALL),
    ("MeterValues", STATION, ALL),
    ("NotifyChargingLimit", STATION, TWO),
    ("NotifyCustomerInformation", STATION, TWO),
    ("NotifyDERAlarm", STATION, LATEST),
    ("NotifyDERStartStop", STATION, LATEST),
    ("NotifyDisplayMessages", STATION, TWO),
    ("NotifyEVChargingNeeds", STATION, TWO),
    ("NotifyEVChargingSchedule", STATION, TWO),
    ("NotifyEvent", STATION, TWO),
    ("NotifyMonitoringReport", STATION, TWO),
    ("NotifyPeriodicEventStream", STATION, LATEST),
    ("NotifyPriorityCharging", STATION, LATEST),
    ("NotifyReport", STATION, TWO),
    ("NotifySettlement", STATION, LATEST),
    ("NotifyWebPaymentStarted", None, LATEST),
    ("OpenPeriodicEventStream", STATION, LATEST),
    ("PublishFirmwareStatusNotification", STATION, TWO),
    ("PullDynamicScheduleUpdate", STATION, LATEST),
    ("ReportChargingProfiles", STATION, TWO),
    ("ReportDERControl", STATION, LATEST),
    ("ReservationStatusUpdate", STATION, TWO),
    ("SecurityEventNotification", STATION, ALL),
    ("SignCertificate", STATION, ALL),
    ("SignedFirmwareStatusNotification", STATION, ONE),
    ("StartTransaction", STATION, ONE),
    ("StatusNotification", STATION, ALL),
    ("StopTransaction", STATION, ONE),
    ("TransactionEvent", STATION, TWO),
    ("VatNumberValidation", STATION, LATEST),
    ("DataTransfer", None, ALL),
    ("AFRRSignal", SYSTEM, LATEST),
    ("AdjustPeriodicEventStream", SYSTEM, LATEST),
    ("CancelReservation", SYSTEM, ALL),
    ("CertificateSigned", SYSTEM, ALL),
    ("ChangeAvailability", SYSTEM, ALL),
    ("ChangeConfiguration", SYSTEM, ONE),
    ("ChangeTransactionTariff", SYSTEM, LATEST),
    ("ClearCache", SYSTEM, ALL),
    ("ClearChargingProfile", SYSTEM, ALL),
    ("ClearDERControl", SYSTEM, LATEST),
    ("ClearDisplayMessage", SYSTEM, TWO),
    ("ClearTariffs", SYSTEM, LATEST),
    ("ClearVariableMonitoring", SYSTEM, TWO),
    ("CostUpdated", SYSTEM, TWO),
    ("CustomerInformation", SYSTEM, TWO),
    ("DeleteCertificate", SYSTEM, ALL),
    ("ExtendedTriggerMessage", SYSTEM, ONE),
    ("GetBaseReport", SYSTEM, TWO),
    ("GetChargingProfiles", SYSTEM, TWO),
    ("GetCompositeSchedule", SYSTEM, ALL),
    ("GetConfiguration", SYSTEM, ONE),
    ("GetDERControl", SYSTEM, LATEST),
    ("GetDiagnostics", SYSTEM, ONE),
    ("GetDisplayMessages", SYSTEM, TWO),
    ("GetInstalledCertificateIds", SYSTEM, ALL),
    ("GetLocalListVersion", SYSTEM, ALL),
    ("GetLog", SYSTEM, ALL),
    ("GetMonitoringReport", SYSTEM, TWO),
    ("GetPeriodicEventStream", SYSTEM, LATEST),
    ("GetReport", SYSTEM, TWO),
    ("GetTariffs", SYSTEM, LATEST),
    ("GetTransactionStatus", SYSTEM, TWO),
    ("GetVariables", SYSTEM, TWO),
    ("InstallCertificate", SYSTEM, ALL),
    ("NotifyAllowedEnergyTransfer", SYSTEM, LATEST),
    ("PublishFirmware", SYSTEM, TWO),
    ("RemoteStartTransaction", SYSTEM, ONE),
    ("RemoteStopTransaction", SYSTEM, ONE),
    ("RequestBatterySwap", SYSTEM, LATEST),
    ("RequestStartTransaction", SYSTEM, TWO),
    ("RequestStopTransaction", SYSTEM, TWO),
    ("ReserveNow", SYSTEM, ALL),
    ("Reset", SYSTEM, ALL),
    ("SendLocalList", SYSTEM, ALL),
    ("SetChargingProfile", SYSTEM, ALL),
    ("SetDERControl", SYSTEM, LATEST),
    ("SetDefaultTariff", SYSTEM, LATEST),
    ("SetDisplayMessage", SYSTEM, TWO),
    ("SetMonitoringBase", SYSTEM, TWO),
    ("SetMonitoringLevel", SYSTEM, TWO),
    ("SetNetworkProfile", SYSTEM, TWO),
    ("SetVariableMonitoring", SYSTEM, TWO),
    ("SetVariables", SYSTEM, TWO),
    ("SignedUpdateFirmware", SYSTEM, ONE),
    ("TriggerMessage", SYSTEM, ALL),
    ("UnlockConnector", SYSTEM, ALL),
    ("UnpublishFirmware", SYSTEM, TWO),
    ("UpdateDynamicSchedule", SYSTEM, LATEST),
    ("UpdateFirmware", SYSTEM, ALL),
    ("UsePriorityCharging", SYSTEM, LATEST),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_listed_once() {
        let mut names: Vec<&str> = ACTIONS.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ACTIONS.len());
    }

    #[test]
    fn versions_have_as_many_actions_as_their_schemas() {
        // Of the security extension of 1.6 eleven are its own.
        for (version, count) in [(Version::One, 28 + 11), (Version::Two, 64), (Version::Latest, 91)] {
            let actions = ACTIONS.iter().filter(|(_, _, versions)| versions.contains(&version)).count();
            assert_eq!(actions, count, "{version:?}");
        }
    }

    #[test]
    fn tokens_name_versions() {
        let check = |token: &str, expected| assert_eq!(Version::of(token), expected, "{token}");
        check("ocpp1.6", Some(Version::One));
        check("OCPP2.0.1", Some(Version::Two));
        check("ocpp2.0", Some(Version::Two));
        check("ocpp2.1", Some(Version::Latest));
        check("ocpp1.5", None);
    }
}
