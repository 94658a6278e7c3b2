//! Rule sets in `SecLang`, compiled for the values of messages.
