"""The chart of accounts of a Norwegian volunteer organisation, by NS 4102, and the categories of its claims.

Account numbers follow NS 4102's four digits (class 1 assets, 2 equity and debt, 3 income, 4 to 7 costs, 8 finance), as
a voluntary organisation with local branches uses them. The categories are what volunteers choose from when they claim
an expense; :data:`UNMAPPED` are some that nobody has given an account yet, as happens.
"""

from __future__ import annotations

from typing import NamedTuple

ACCOUNTS: dict[str, str] = {
    "1250": "Inventar",
    "1280": "Kontormaskiner",
    "1500": "Kundefordringer",
    "1570": "Andre kortsiktige fordringer",
    "1700": "Forskuddsbetalte kostnader",
    "1900": "Kontanter",
    "1920": "Bankinnskudd",
    "1950": "Bankinnskudd for skattetrekk",
    "2050": "Annen egenkapital",
    "2400": "Leverandørgjeld",
    "2740": "Oppgjørskonto merverdiavgift",
    "2910": "Gjeld til ansatte og frivillige",
    "2960": "Påløpte kostnader",
    "2990": "Annen kortsiktig gjeld",
    "3100": "Salgsinntekter, avgiftsfri",
    "3400": "Offentlige tilskudd",
    "3440": "Tilskudd fra Bufdir",
    "3900": "Medlemskontingent",
    "3960": "Gaver og innsamlede midler",
    "4300": "Innkjøp av varer for videresalg",
    "5330": "Honorarer",
    "5900": "Gaver til ansatte og frivillige",
    "5910": "Kantine og bevertning",
    "5990": "Annen personalkostnad",
    "6300": "Leie av lokaler",
    "6340": "Lys og varme",
    "6360": "Renhold",
    "6390": "Annen kostnad lokaler",
    "6400": "Leie av maskiner og utstyr",
    "6490": "Annen leiekostnad",
    "6540": "Inventar",
    "6550": "Driftsmaterialer",
    "6551": "Datautstyr",
    "6553": "Programvare",
    "6570": "Arbeidsklær og verneutstyr",
    "6590": "Annet driftsmateriale",
    "6620": "Reparasjon og vedlikehold av utstyr",
    "6790": "Annen fremmed tjeneste",
    "6800": "Kontorrekvisita",
    "6820": "Trykksaker",
    "6840": "Aviser, tidsskrifter og bøker",
    "6860": "Møter, kurs og oppdatering",
    "6900": "Telefon",
    "6907": "Internett",
    "6940": "Porto",
    "7000": "Drivstoff",
    "7040": "Forsikring transportmidler",
    "7090": "Parkering og bompenger",
    "7100": "Bilgodtgjørelse, oppgavepliktig",
    "7130": "Reisekostnader, oppgavepliktige",
    "7140": "Reisekostnader, ikke oppgavepliktige",
    "7150": "Diettkostnader, oppgavepliktige",
    "7160": "Diettkostnader, ikke oppgavepliktige",
    "7320": "Reklame og profilering",
    "7350": "Representasjon",
    "7400": "Kontingenter",
    "7430": "Gaver",
    "7500": "Forsikringspremier",
    "7710": "Styre- og bedriftsforsamlingsmøter",
    "7715": "Årsmøte",
    "7730": "Aktiviteter for barn og unge",
    "7735": "Leir og turer",
    "7740": "Øreavrunding",
    "7770": "Bankgebyrer",
    "7790": "Annen kostnad",
    "8160": "Valutatap",
    "8170": "Annen finanskostnad",
}


class Category(NamedTuple):
    """What a volunteer picks: its account, a typical text, and the span of a typical amount in kroner."""

    account: str
    text: str
    lowest: int
    highest: int
    vat_code: str | None = None


CATEGORIES: dict[str, Category] = {
    "mileage": Category("7100", "Kjøregodtgjørelse", 35, 1400),
    "mileage_passenger": Category("7100", "Passasjertillegg", 10, 200),
    "per_diem_day": Category("7160", "Diett dagsreise", 200, 634),
    "per_diem_overnight": Category("7150", "Diett med overnatting", 435, 2000),
    "taxi": Category("7140", "Drosje", 120, 900),
    "train": Category("7140", "Tog", 99, 1200),
    "flight": Category("7140", "Fly", 499, 3500),
    "bus": Category("7140", "Buss", 42, 400),
    "ferry": Category("7140", "Ferge", 60, 600),
    "hotel": Category("7140", "Overnatting", 790, 3200),
    "parking": Category("7090", "Parkering", 25, 420),
    "toll": Category("7090", "Bompenger", 18, 190),
    "fuel_rental_car": Category("7000", "Drivstoff leiebil", 250, 1100),
    "car_rental": Category("6490", "Leiebil", 600, 3000),
    "meals_volunteers": Category("5910", "Mat til frivillige", 150, 2500),
    "meals_meeting": Category("6860", "Bevertning møte", 120, 1800),
    "meals_guests": Category("7350", "Representasjon", 300, 2200),
    "coffee": Category("5910", "Kaffe og te", 49, 400),
    "phone": Category("6900", "Telefon", 99, 600),
    "internet": Category("6907", "Internett", 199, 899),
    "postage": Category("6940", "Porto", 23, 300),
    "office_supplies": Category("6800", "Kontorrekvisita", 39, 900, "1"),
    "printing": Category("6820", "Trykk av plakater", 150, 2400, "1"),
    "books": Category("6840", "Bøker og tidsskrifter", 99, 700),
    "course_fee": Category("6860", "Kursavgift", 500, 4500),
    "conference": Category("6860", "Konferanse", 900, 5200),
    "software": Category("6553", "Programvare", 79, 1500, "1"),
    "computer_equipment": Category("6551", "Datautstyr", 199, 4900, "1"),
    "equipment": Category("6550", "Utstyr til aktivitet", 100, 3500, "1"),
    "equipment_rental": Category("6400", "Leie av utstyr", 300, 3000),
    "equipment_repair": Category("6620", "Reparasjon av utstyr", 150, 2500),
    "work_clothes": Category("6570", "Vester og refleks", 99, 1200, "1"),
    "venue_rental": Category("6300", "Leie av lokale", 400, 6000),
    "cleaning": Category("6360", "Renhold etter arrangement", 100, 1200),
    "advertising": Category("7320", "Annonser og profilering", 200, 4000, "1"),
    "camp": Category("7735", "Leir og tur", 300, 5000),
    "youth_activity": Category("7730", "Aktivitet for barn og unge", 80, 2600),
    "annual_meeting": Category("7715", "Årsmøte", 200, 3800),
    "board_meeting": Category("7710", "Styremøte", 100, 1600),
    "gift_volunteer": Category("5900", "Oppmerksomhet til frivillig", 100, 600),
    "gift_speaker": Category("7430", "Gave til foredragsholder", 150, 500),
    "membership_fee": Category("7400", "Kontingent paraplyorganisasjon", 250, 2000),
    "insurance_event": Category("7500", "Arrangementsforsikring", 300, 2500),
    "bank_fee": Category("7770", "Gebyr", 2, 60),
    "goods_for_resale": Category("4300", "Varer til kiosk", 200, 4000),
}

UNMAPPED: dict[str, str] = {
    "drone_rental": "Leie av drone",
    "quarantine_hotel": "Karantenehotell",
}
"""Categories that occur in claims and that nobody has mapped, with a typical text."""

SETTLEMENT_ACCOUNT = "2910"
"""Where the counter-entry goes: what the organisation owes its people."""

TAX_RULES: dict[str, str] = {
    "0": "Ingen avgiftsbehandling",
    "1": "Fradrag inngående avgift 25 %",
    "11": "Fradrag inngående avgift 15 %",
    "13": "Fradrag inngående avgift 12 %",
    "3": "Utgående avgift 25 %",
    "5": "Ingen utgående avgift",
}
"""Norway's VAT codes as accounting systems number them."""

DEPARTMENTS: dict[str, str] = {
    "100": "Sekretariat",
    "110": "Ungdom",
    "120": "Omsorg",
    "130": "Beredskap",
    "140": "Innsamling",
    "SALES": "Kiosk og salg",
}
PROJECTS: dict[str, str] = {
    "P-17": "Ferie for alle",
    "P-22": "Leksehjelp",
    "P-30": "Sommerleir",
    "P-41": "Besøkstjeneste",
}
PRODUCTS: dict[str, str] = {
    "K-1": "Kurs for frivillige",
    "K-2": "Førstehjelpskurs",
}
