"""Books as JSON: FastAPI, SQLAlchemy's ORM, pydantic models."""

import common
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)

# A connection for each thread of the pool: with fewer, threads that hold one wait for threads that
# wait for one when the server is saturated, without the library as with it.
ENGINE = create_engine(
    f"sqlite:///{common.database()}", pool_size=64, connect_args={"check_same_thread": False}
)
SESSIONS = sessionmaker(ENGINE)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list["Book"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    price: Mapped[int]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")
    reviews: Mapped[list["Review"]] = relationship(back_populates="book")


class Review(Base):
    __tablename__ = "review"
    id: Mapped[int] = mapped_column(primary_key=True)
    stars: Mapped[int]
    text: Mapped[str]
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    book: Mapped[Book] = relationship(back_populates="reviews")


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ReviewOut(Out):
    stars: int
    text: str


class BookOut(Out):
    id: int
    title: str
    price: int
    reviews: list[ReviewOut]


class AuthorOut(Out):
    id: int
    name: str
    books: list[BookOut]


def session():
    with SESSIONS() as opened:
        yield opened


app = asgi = FastAPI()


@app.get("/")
def author(n: int = 0, db: Session = Depends(session)) -> AuthorOut:
    wanted = (
        select(Author)
        .where(Author.id == n % len(common.WORDS))
        .options(selectinload(Author.books).selectinload(Book.reviews))
    )
    return db.scalars(wanted).one()


common.heap()
common.tune()
